from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from service.web.collection.application import CollectionApplication
from service.web.edge.application import EdgeApplication
from service.web.wsgi import Application
from tests.support.wire import FakeSources, WireServices, call


def admin(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("418 I am the admin", [("Content-Type", "text/plain")])
    return [b"admin"]


def application() -> Application:
    services = WireServices(FakeSources())
    collection = CollectionApplication(services, lambda _, __: False)
    return Application(EdgeApplication(services), collection, admin)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/ee/v1/interact", "Missing datastream parameter"),
        ("/ee/or2/v1/collect", "Missing datastream parameter"),
        ("/ee/v1/privacy/set-consent", "Missing datastream parameter"),
        ("/ee/v2/interact", "Missing datastream parameter"),
        ("/ee/own/path", "Not found"),
        ("/collection/abc", "Unknown inlet"),
        ("/collection/batch/abc", "Unknown inlet"),
        ("/collection/v1/interact", "Missing datastream parameter"),
        ("/data/core/ups/segment/definitions", "admin"),
        ("/ims/token/v3", "admin"),
        ("/", "admin"),
        ("/collection", "admin"),
    ],
)
def test_each_path_reaches_its_application(path: str, words: str) -> None:
    reply = call(application(), path, b"{}")

    assert words in reply.body.decode()
