"""Proxies and client certificates on real sockets: messages and token requests take one road."""

import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.core.secret import Secret
from service.outbound.connection_spec import ClientCertificate, ConnectionSpec
from service.outbound.egress import AddressGuard
from service.outbound.transport import CallParts, LaneOptions, Reply, ReplyKind, Trouble
from service.outbound.transport_curl import CurlTransport
from service.outbound.transport_form import FormError, ask_token
from tests.support.certificates import client_certificate, loopback_certificate
from tests.support.lanes import LOOPBACK, call, send
from tests.support.sinks import Exchange, Sink, answer, running_sink

TARGET = "http://api.example.com/push"
SECRET_HEADER = ("Authorization", "Bearer of-the-vendor")


def tunnel(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 Connection established\r\n\r\n")


def one_call(
    url: str,
    connection: ConnectionSpec,
    *,
    resolve: Callable[[str], tuple[str, ...]] = lambda _: ("127.0.0.1",),
    guard: AddressGuard = LOOPBACK,
    ca_file: str | None = None,
) -> Reply:
    options = LaneOptions(
        slots=1,
        proxy=connection.proxy.reveal() if connection.proxy else None,
        certificate=connection.certificate,
        ca_file=ca_file,
    )
    lane = CurlTransport(guard, resolve).open_lane(options, lambda _: True)
    (reply,) = send(lane, call(url, headers=(SECRET_HEADER,)))
    lane.close()
    return reply


def through(proxy: Sink, credentials: str = "") -> ConnectionSpec:
    url = proxy.url("")
    return ConnectionSpec(proxy=Secret(url.replace("://", f"://{credentials}")))


def test_a_proxy_gets_its_credentials_and_not_the_vendors() -> None:
    with running_sink(tunnel, answer()) as proxy:
        reply = one_call(TARGET, through(proxy, "jo:p%40ss@"))

    asked, sent = proxy.received
    assert reply.status == 200
    assert asked.head.startswith("CONNECT 127.0.0.1:80 ")
    assert asked.header("proxy-authorization") == f"Basic {b64encode(b'jo:p@ss').decode()}"
    assert "of-the-vendor" not in asked.head
    assert sent.header("authorization") == "Bearer of-the-vendor"
    assert sent.header("proxy-authorization") is None
    assert sent.header("host") == "api.example.com"


def test_a_proxy_that_refuses_is_certainly_not_sent_through() -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with running_sink(answer(refusal)) as proxy:
        reply = one_call(TARGET, through(proxy, "jo:wrong@"))

    assert (reply.kind, reply.status) == (ReplyKind.NOT_SENT, 0)
    assert [each.head.split()[0] for each in proxy.received] == ["CONNECT"]


def test_a_proxy_over_tls_is_trusted_by_its_certificate(tmp_path: Path) -> None:
    trusted, context = loopback_certificate(tmp_path)
    with running_sink(tunnel, answer(), tls=context) as proxy:
        reply = one_call(TARGET, through(proxy), ca_file=str(trusted))
        stranger = one_call(TARGET, through(proxy))

    assert reply.status == 200
    assert (stranger.kind, stranger.trouble) == (ReplyKind.NOT_SENT, Trouble.TLS)


def test_a_proxy_inside_is_called_only_where_the_operator_allows_its_network() -> None:
    public = lambda _: ("93.184.215.14",)  # noqa: E731 - one line
    with running_sink(tunnel, answer()) as proxy:
        reply = one_call(TARGET, through(proxy), resolve=public, guard=AddressGuard())

        assert proxy.connections == 0
    assert (reply.kind, reply.trouble) == (ReplyKind.NOT_SENT, Trouble.ADDRESS_REFUSED)


@pytest.mark.parametrize(
    "host", ["api.example.com", "API.Example.com", "api.example.com.", "0x5d.184.215.14"]
)
def test_a_proxy_is_told_the_judged_address_however_the_host_is_spelled(host: str) -> None:
    with running_sink(tunnel, answer()) as proxy:
        one_call(f"http://{host}/push", through(proxy), resolve=lambda _: ("93.184.215.14",))

    assert proxy.received[0].head.startswith("CONNECT 93.184.215.14:80 ")


def test_a_name_that_moves_inside_between_two_calls_is_never_named_to_the_proxy() -> None:
    answers = iter([("93.184.215.14",), ("169.254.169.254",)])
    with running_sink(tunnel, answer(), tunnel, answer()) as proxy:
        found = [
            one_call(TARGET, through(proxy), resolve=lambda _, at=each: at)  # type: ignore[misc]
            for each in answers
        ]

    assert [each.trouble for each in found] == [None, Trouble.ADDRESS_REFUSED]
    assert "169.254" not in "".join(each.head for each in proxy.received)


def test_a_token_is_asked_for_through_the_actions_proxy() -> None:
    body = b'{"access_token":"t"}'
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with running_sink() as target, running_sink(tunnel, answer(ok)) as proxy:
        parts = CallParts("POST", target.url("/token"), (), b"grant_type=x")
        got = ask_token(parts, through(proxy, "jo:pw@"), timeout=3, guard=LOOPBACK)

        assert target.connections == 0
    assert got == body
    assert proxy.received[1].head.startswith("POST /token ")


def test_a_token_endpoint_inside_is_not_reached_through_a_proxy_either() -> None:
    with running_sink(tunnel, answer()) as proxy:
        guard = AddressGuard.of("127.0.0.0/8")
        parts = CallParts("POST", "http://10.1.2.3/token", (), b"")

        with pytest.raises(FormError, match="refused \\(private\\)"):
            ask_token(parts, through(proxy), timeout=3, guard=guard)

    assert proxy.connections == 0


@contextmanager
def asking_who_calls(folder: Path, trusted_client: str) -> Iterator[tuple[Sink, str]]:
    """Run a TLS server that takes one client's certificate only; yield it and its own."""
    trusted, context = loopback_certificate(folder)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=trusted_client)
    with running_sink(tls=context) as sink:
        yield sink, str(trusted)


def test_an_endpoint_that_asks_who_calls_is_shown_the_certificate(tmp_path: Path) -> None:
    chain, key = client_certificate()
    shown = ConnectionSpec(certificate=ClientCertificate(chain, Secret(key)))
    with asking_who_calls(tmp_path, chain) as (sink, ca_file):
        reply = one_call(sink.url(), shown, ca_file=ca_file)
        parts = CallParts("POST", sink.url("/token"), (), b"grant_type=x")
        token = ask_token(parts, shown, timeout=3, guard=LOOPBACK, ca_file=ca_file)

    assert (reply.kind, reply.status) == (ReplyKind.ANSWERED, 200)
    assert token == b'{"id":"m-1"}'
    assert [each.head.split()[1] for each in sink.received] == ["/hook", "/token"]


@pytest.mark.parametrize("is_stranger", [True, False])
def test_without_the_right_certificate_nothing_is_acted_on(
    tmp_path: Path,
    is_stranger: bool,  # noqa: FBT001 - a table's column
) -> None:
    chain, _ = client_certificate()
    stranger_chain, stranger_key = client_certificate()
    other = ClientCertificate(stranger_chain, Secret(stranger_key)) if is_stranger else None
    connection = ConnectionSpec(certificate=other)
    with asking_who_calls(tmp_path, chain) as (sink, ca_file):
        reply = one_call(sink.url(), connection, ca_file=ca_file)
        parts = CallParts("POST", sink.url("/token"), (), b"grant_type=x")
        with pytest.raises(FormError, match="The token endpoint"):
            ask_token(parts, connection, timeout=3, guard=LOOPBACK, ca_file=ca_file)

    assert reply.kind is not ReplyKind.ANSWERED
    assert sink.received == []


def test_no_credential_of_a_connection_shows_in_a_repr() -> None:
    connection = ConnectionSpec(
        Secret("http://jo:s3cret@proxy.example:8080"), ClientCertificate("chain", Secret("s3cret"))
    )
    options = LaneOptions(
        slots=1, proxy="http://jo:s3cret@proxy.example:8080", certificate=connection.certificate
    )

    assert "s3cret" not in repr([connection, options])
