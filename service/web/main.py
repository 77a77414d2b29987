"""The web process: from settings to the one WSGI application that a server calls."""

from wsgiref.types import WSGIApplication

from service.bootstrap import Services, build_services
from service.core import memory
from service.flows.sdk_files import SdkFiles
from service.settings import read_settings
from service.web import logging
from service.web.app import create_app
from service.web.collection.application import CollectionApplication
from service.web.context import ACCESS_TOKENS
from service.web.edge.application import EdgeApplication
from service.web.sdk_files import SdkFilesApplication
from service.web.slow_clients import SlowClients
from service.web.waiting_room import WaitingRoom
from service.web.wsgi import Application


def build_application(services: Services) -> Application:
    """Return the application over services that the caller built and will close."""
    admin = create_app(services)
    tokens = admin.extensions[ACCESS_TOKENS]
    return Application(
        EdgeApplication(services, tokens.verify),
        CollectionApplication(services, tokens.may_collect),
        SdkFilesApplication(SdkFiles(services.sessions, services.clock), admin),
    )


def application() -> WSGIApplication:
    """Return the application of one server process, built from the environment.

    The server calls this in each of its processes. It has a thread for each connection; the
    application works on ``request_threads`` requests at a time.
    """
    settings = read_settings()
    logging.configure(settings.log_level)
    services = build_services(settings)
    room = WaitingRoom(build_application(services), services.clock, turns=settings.request_threads)
    SlowClients(settings.port, room.late, services.clock).start()
    memory.settle()
    return room
