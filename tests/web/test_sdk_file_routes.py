"""The files of the SDKs over HTTP: cached as both platforms ask, and never a JSON error."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mobile_stub import sdk
from mobile_stub.device import Kind, Platform, new_device
from mobile_stub.edge_client import Edge, Phone
from service.bootstrap import build_services
from service.catalog.mobile_settings import Environment
from service.db.session import SessionFactory, unit_of_work
from service.flows.sdk_files import FileKind, SdkFile, SdkFiles
from service.profiles.lookups import find_profile
from service.sandboxes.scope import Scope
from service.settings import Settings
from service.web.main import build_application
from service.web.sdk_files import SdkFilesApplication
from tests.support.admin import KEY
from tests.support.apps import EDGE_DOMAIN, publish
from tests.support.away_store import AwayStore
from tests.support.clocks import FixedClock
from tests.support.wire import Reply, call

EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"
CHANGED = "Wed, 01 Jul 2026 10:00:00 GMT"
UNKNOWN = "/94f571f308d5/fec7505defe0/launch-1a2b3c4d5e6f"


@dataclass(frozen=True, slots=True)
class World:
    """One published app in front of an admin API that only tells that it was asked."""

    application: SdkFilesApplication
    app_id: str
    store: AwayStore

    def get(self, path: str = "", *, method: str = "GET", **headers: str) -> Reply:
        """Ask for a path, the configuration unless one is given."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(self.application, path or f"/{self.app_id}.json", method=method, headers=named)

    def rules(self, **headers: str) -> Reply:
        return self.get(f"/rules/{self.app_id}.zip", **headers)


class BrokenFiles:
    """Files that hide a bug."""

    def find(self, kind: FileKind, file_id: str) -> SdkFile | None:
        raise ZeroDivisionError(kind, file_id)


class NoFiles:
    """A store without any property, which remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[FileKind, str]] = []

    def find(self, kind: FileKind, file_id: str) -> SdkFile | None:
        self.asked.append((kind, file_id))
        return None


@pytest.fixture
def world(sqlite_store: SessionFactory, scope: Scope, clock: FixedClock) -> World:
    row, _ = publish(sqlite_store, scope, clock, Environment.PRODUCTION, Environment.STAGING)
    away = AwayStore(sqlite_store)
    return World(SdkFilesApplication(SdkFiles(away, clock), _admin), row.app_id, away)


def test_the_configuration_is_served_without_token_and_sandbox(world: World) -> None:
    reply = world.get()

    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert reply.headers["last-modified"] == CHANGED
    assert reply.headers["cache-control"] == "public, max-age=60"
    assert reply.json()["rules.url"] == f"https://{EDGE_DOMAIN}/rules/{world.app_id}.zip"


def test_each_environment_has_a_file_of_its_own(world: World) -> None:
    staging = world.get(f"/{world.app_id}-staging.json")

    assert staging.json()["build.environment"] == "stage"
    assert staging.headers["etag"] != world.get().headers["etag"]
    assert world.get(f"/{world.app_id}-development.json").status == 404


def test_the_configuration_names_rules_that_are_served(world: World) -> None:
    _, _, path = world.get().json()["rules.url"].partition(EDGE_DOMAIN)

    reply = world.get(path)

    assert (reply.status, reply.headers["content-type"]) == (200, "application/zip")
    assert reply.body.startswith(b"PK")
    assert reply.headers["etag"] != world.get().headers["etag"]


def test_a_phone_that_holds_the_file_gets_304_without_it(world: World) -> None:
    for ask in (world.get, world.rules):
        first = ask()

        again = ask(If_None_Match=first.headers["etag"], If_Modified_Since=EPOCH)

        assert (again.status, again.body) == (304, b"")
        for name in ("etag", "last-modified", "cache-control"):
            assert again.headers[name] == first.headers[name]
        assert "content-length" not in again.headers


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"other" , W/{}', "*"])
def test_a_tag_is_compared_as_caches_in_between_may_spell_it(world: World, form: str) -> None:
    etag = world.get().headers["etag"]

    assert world.get(If_None_Match=form.format(etag)).status == 304


@pytest.mark.parametrize("tag", ['"other"', "other", '""', 'W/"other"', '"', "é"])
def test_another_tag_brings_the_file_whatever_the_date(world: World, tag: str) -> None:
    assert world.get(If_None_Match=tag, If_Modified_Since=CHANGED).status == 200


def test_an_android_phone_that_holds_nothing_gets_the_file(world: World) -> None:
    assert world.get(If_None_Match="", If_Modified_Since=EPOCH).status == 200


def test_an_ios_phone_that_was_told_no_tag_and_no_date_gets_the_file(world: World) -> None:
    assert world.get(If_None_Match="", If_Modified_Since="").status == 200


@pytest.mark.parametrize(
    ("date", "status"),
    [
        (CHANGED, 304),
        ("Wed, 01 Jul 2026 10:00:00 +0000", 304),
        ("Wed, 01 Jul 2026 12:00:00 +0200", 304),
        ("Wed, 01 Jul 2026 10:00:00 GMT+00:00", 304),
        ("Thu, 02 Jul 2026 10:00:00 GMT", 304),
        ("Wed, 01 Jul 2026 09:59:59 GMT", 200),
        ("Wed, 01 Jul 2026 10:00:00 +0200", 200),
        ("yesterday", 200),
        ("Wed, 01 Jul 99999 10:00:00 GMT", 200),
        ("Wed, 01 Jul 2026 10:00:00 +9999999999", 200),
        ("é", 200),
    ],
)
def test_without_a_tag_the_date_decides(world: World, date: str, status: int) -> None:
    assert world.get(If_Modified_Since=date).status == status


def test_head_gives_the_same_headers_and_no_body(world: World) -> None:
    whole, head = world.get(), world.get(method="HEAD")

    assert (head.status, head.body) == (200, b"")
    own = {"x-request-id"}
    assert {name: whole.headers[name] for name in whole.headers.keys() - own} == {
        name: head.headers[name] for name in head.headers.keys() - own
    }


@pytest.mark.parametrize(
    "path",
    [
        f"{UNKNOWN}.json",
        f"{UNKNOWN}-development.json",
        f"/rules{UNKNOWN}.zip",
        "/abc.json",
        "/launch-EN0123456789abcdef0123456789abcdef.json",
        "/94f571f308d5/launch-1a2b3c4d5e6f.json",
        "/94F571F308D5/fec7505defe0/launch-1a2b3c4d5e6f-production.json",
        "/94f571f308d5/fec7505defe0/launch-é.json",
        "/rules/../x.zip",
    ],
)
def test_an_unknown_app_id_is_404_in_words_that_no_phone_takes_for_a_file(
    world: World, path: str
) -> None:
    reply = world.get(path)

    assert (reply.status, reply.headers["cache-control"]) == (404, "no-store")
    _is_text(reply)


def test_other_methods_are_refused_in_words(world: World) -> None:
    reply = world.get(method="POST")

    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    _is_text(reply)


def test_a_store_that_is_away_is_503_in_words(world: World) -> None:
    world.store.is_away = True

    reply = world.get()

    assert reply.status == 503
    assert int(reply.headers["retry-after"]) > 0
    _is_text(reply)


def test_a_bug_is_503_in_words_that_quote_nothing(world: World) -> None:
    broken = replace(world, application=SdkFilesApplication(BrokenFiles(), _admin))

    with capture_logs() as logs:
        reply = broken.get()

    assert (reply.status, int(reply.headers["retry-after"]) > 0) == (503, True)
    _is_text(reply)
    assert [(each["event"], each["error"]) for each in logs] == [
        ("sdk_file_failed", "ZeroDivisionError")
    ]
    assert world.app_id not in str(logs) + reply.body.decode()


@pytest.mark.parametrize(
    "path",
    [
        "/openapi.json",
        "/docs/files/x.json",
        "/profiles/CRMID/launch-1.json",
        "/profiles/ECID/1.json",
        "/mobile-properties",
        "/rules",
        "/rules/x.json",
        "/x.zip",
        "/.json/x",
        "/",
    ],
)
def test_every_other_path_is_handed_on(world: World, path: str) -> None:
    assert world.get(path).status == 418


@given(path=st.text(), tag=st.text(), date=st.text())
def test_whatever_is_asked_for_is_answered_in_words_or_handed_on(
    path: str, tag: str, date: str
) -> None:
    files = NoFiles()
    headers = {"If-None-Match": tag, "If-Modified-Since": date}

    reply = call(SdkFilesApplication(files, _admin), f"/{path}.json", method="GET", headers=headers)

    assert reply.status == (404 if files.asked else 418)
    if files.asked:
        _is_text(reply)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_phone_starts_with_what_it_downloaded(
    kind: Kind, sqlite_store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    row, _ = publish(sqlite_store, scope, clock)
    services = build_services(
        Settings(str(sqlite_store.engine.url), (KEY,), answer_within_s=10), clock=clock, environ={}
    )
    try:
        with _listening(build_application(services)) as url:
            downloaded = requests.get(f"{url}/{row.app_id}.json", timeout=5).json()
            edge = Edge(
                url,
                downloaded["edge.configId"],
                domain=downloaded["edge.domain"],
                environment=downloaded["edge.environment"],
            )
            platform = Platform.FCM if kind is Kind.ANDROID else Platform.APNS
            phone = Phone(new_device(kind, "com.example.shop", platform, 1), edge, clock=clock.now)
            phone.change(lambda device: sdk.login(device, "c-1"))
            phone.act(lambda device, now: sdk.install(device, "ab" * 32, now))
            assert phone.drain()
            phone.close()
    finally:
        services.committer.close()
        services.sessions.engine.dispose()

    with unit_of_work(sqlite_store) as session:
        person = find_profile(session, scope, "CRMID", "c-1")
    assert person is not None
    assert [each.token.app_id for each in person.tokens] == ["com.example.shop"]


class _Quiet(WSGIRequestHandler):
    """Says nothing on the terminal."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's name
        """Say nothing."""


@contextmanager
def _listening(application: WSGIApplication) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, application, handler_class=_Quiet)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _admin(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("418 I am the admin", [("Content-Type", "application/json")])
    return [b"{}"]


def _is_text(reply: Reply) -> None:
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert "etag" not in reply.headers
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.body)
