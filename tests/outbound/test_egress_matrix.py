"""Every way out against every way in: one table, and the same answer on each road.

The roads are those that exist: a message (a test request is one), a token endpoint, a set of public
keys, each straight and through a proxy. All are lanes of one transport.
"""

import threading
from collections.abc import Callable

import pytest

from service.core.errors import InvalidInputError
from service.core.secret import Secret
from service.outbound.connection_spec import DIRECT, ConnectionSpec
from service.outbound.egress import AddressGuard
from service.outbound.key_sets import KeySets, KeysUnavailableError
from service.outbound.transport import CallParts, LaneOptions, ReplyKind, Trouble
from service.outbound.transport_curl import CurlTransport
from service.outbound.transport_form import FormError, ask_token, get_document
from tests.support.clocks import FixedClock
from tests.support.lanes import call, send
from tests.support.sinks import answer, running_sink

# Hosts that lead to this machine or another inside, and whether libc takes them for an address.
INSIDE = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "0.0.0.0",  # noqa: S104 - nothing is bound
    "0",
    "10.1.2.3",
    "100.64.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "169.254.169.254.",
    "0xa9fea9fe",
    "2852039166",
    "168.63.129.16",
    "100.100.100.200",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:169.254.169.254]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:7f00:1::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
]
# What is wrong with a URL before any address is looked at.
MALFORMED = [
    "http://user:pw@api.example.com/",
    "http://api.example.com@127.0.0.1/",
    "http://api.example.com\\@127.0.0.1/",
    "http://127.0.0.1%2f@api.example.com/",
    "http://%31%32%37.0.0.1/",
    "http://①②⑦.0.0.1/",
    "http://127。0。0。1/",
    "http://bücher.example/",
    "http://api.example.com/#@127.0.0.1/",
    "http://api.example.com/\r\nHost: 127.0.0.1",
    "http://[::1",
    "http:///x",
    "file:///etc/passwd",
    "gopher://127.0.0.1:25/",
    "ftp://127.0.0.1/",
]
NOT_FOUND = "The token endpoint has a host that is not found."
Road = Callable[[str, AddressGuard], str]


def _message(url: str, guard: AddressGuard, proxy: str | None = None) -> str:
    lane = CurlTransport(guard).open_lane(LaneOptions(1, proxy=proxy), lambda _: True)
    (reply,) = send(lane, call(url))
    lane.close()
    if reply.kind is ReplyKind.ANSWERED:
        return str(reply.status)
    is_refused = reply.kind is ReplyKind.NOT_SENT and reply.trouble is Trouble.ADDRESS_REFUSED
    return "refused" if is_refused else f"{reply.kind}/{reply.trouble}"


def _token(url: str, guard: AddressGuard, connection: ConnectionSpec = DIRECT) -> str:
    parts = CallParts("POST", url, (), b"grant_type=client_credentials")
    try:
        ask_token(parts, connection, timeout=3, guard=guard)
    except FormError as error:
        return "refused" if "is refused (" in error.detail else str(error.status or error.detail)
    return "200"


def _keys(url: str, guard: AddressGuard) -> str:
    heard: list[str] = []
    done = threading.Event()

    def get(wanted: str) -> bytes:
        try:
            return get_document(wanted, 3, guard)
        except FormError as error:
            refused = "is refused (" in error.detail
            heard.append("refused" if refused else str(error.status or error.detail))
            raise
        finally:
            done.set()

    with pytest.raises(KeysUnavailableError):
        KeySets(get, FixedClock()).find(url, None, "RS256")
    done.wait(5)
    return heard[0] if heard else "200"


STRAIGHT: dict[str, Road] = {"message": _message, "token": _token, "keys": _keys}


@pytest.mark.parametrize("host", INSIDE)
def test_a_host_that_leads_inside_is_refused_when_saved_and_on_every_road(host: str) -> None:
    guard = AddressGuard()
    with running_sink() as sink:
        url = sink.url(host=host)
        with pytest.raises(InvalidInputError):
            guard.check_url(url)

        found = {name: road(url, guard) for name, road in STRAIGHT.items()}

        assert sink.connections == 0
    assert set(found.values()) == {"refused"}, found


@pytest.mark.parametrize("host", INSIDE)
def test_a_host_that_leads_inside_is_not_named_to_a_proxy(host: str) -> None:
    with running_sink() as proxy:
        guard = AddressGuard()
        url = f"http://{host}:9/hook"
        found = [
            _message(url, guard, proxy.url("")),
            _token(url, guard, ConnectionSpec(Secret(proxy.url("")))),
        ]

    assert proxy.connections == 0
    assert set(found) <= {"refused", "not_sent/dns", NOT_FOUND}


@pytest.mark.parametrize("url", MALFORMED)
def test_a_url_that_says_two_things_is_refused_when_it_is_saved(url: str) -> None:
    with pytest.raises(InvalidInputError):
        AddressGuard.of("127.0.0.0/8").check_url(url)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("road", STRAIGHT, ids=str)
def test_a_redirect_is_followed_on_no_road(road: str, status: int) -> None:
    guard = AddressGuard.of("127.0.0.0/8")
    with running_sink() as target:
        away = (
            f"HTTP/1.1 {status} Away\r\nLocation: {target.url()}\r\nContent-Length: 0\r\n\r\n"
        ).encode()
        with running_sink(answer(away)) as sink:
            found = STRAIGHT[road](sink.url(), guard)

    assert (found, target.connections) == (str(status), 0)


@pytest.mark.parametrize("road", STRAIGHT, ids=str)
def test_a_name_that_passed_when_saved_is_judged_again_by_what_it_leads_to(road: str) -> None:
    guard = AddressGuard()
    with running_sink() as sink:
        guard.check_url("http://api.example.com/", lambda _: ("93.184.215.14",))

        # The guard never sees a name: this one stands for any that has moved inside since.
        found = STRAIGHT[road](sink.url(host="localhost"), guard)

        assert (found, sink.connections) == ("refused", 0)


@pytest.mark.parametrize("road", STRAIGHT, ids=str)
def test_no_road_takes_a_proxy_of_the_environment(
    road: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_sink() as proxy, running_sink() as sink:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))

        STRAIGHT[road](sink.url(), AddressGuard.of("127.0.0.0/8"))

        assert (proxy.connections, sink.connections) == (0, 1)
