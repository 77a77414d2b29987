"""The web process: from settings to the one WSGI application that a server calls."""

from wsgiref.types import WSGIApplication

from service.bootstrap import Services, build_services
from service.core import memory
from service.settings import read_settings
from service.web import logging
from service.web.app import create_app
from service.web.collection.application import CollectionApplication
from service.web.context import ACCESS_TOKENS
from service.web.edge.application import EdgeApplication
from service.web.wsgi import Application


def build_application(services: Services) -> Application:
    """Return the application over services that the caller built and will close."""
    admin = create_app(services)
    return Application(
        EdgeApplication(services),
        CollectionApplication(services, admin.extensions[ACCESS_TOKENS].may_collect),
        admin,
    )


def application() -> WSGIApplication:
    """Return the application of one server process, built from the environment.

    The server calls this in each of its processes.
    """
    settings = read_settings()
    logging.configure(settings.log_level)
    built = build_application(build_services(settings))
    memory.settle()
    return built
