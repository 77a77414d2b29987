import time
from urllib.parse import parse_qs

import pytest

from service.outbound.egress import AddressGuard
from service.outbound.token_answers import form
from service.outbound.transport_form import FormError, ask_token, get_document
from tests.support.sinks import (
    answer,
    close_unanswered,
    closed_port,
    drip,
    drip_head,
    hold,
    running_sink,
)

LOOPBACK = AddressGuard.of("127.0.0.0/8")
FIELDS = {"grant_type": "a b", "assertion": "s3cret&more"}


def post_form(url: str, fields: dict[str, str], timeout: float, guard: AddressGuard) -> bytes:
    return ask_token(form(url, fields), timeout=timeout, guard=guard)


def test_a_form_arrives_and_its_answer_comes_back() -> None:
    with running_sink() as sink:
        body = post_form(sink.url("/token"), FIELDS, 3, LOOPBACK)

    (got,) = sink.received
    assert body == b'{"id":"m-1"}'
    assert parse_qs(got.body.decode()) == {name: [value] for name, value in FIELDS.items()}
    assert got.header("content-type") == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("behaviour", [drip, drip_head, hold])
def test_the_timeout_covers_the_whole_exchange(behaviour: object) -> None:
    assert callable(behaviour)
    with running_sink(behaviour) as sink:
        begun = time.monotonic()

        with pytest.raises(FormError, match="no whole answer") as caught:
            post_form(sink.url(), FIELDS, 0.3, LOOPBACK)

        assert time.monotonic() - begun < 1.5
    assert caught.value.may_retry


def test_an_address_that_may_not_be_called_gets_no_connection() -> None:
    with running_sink() as sink:
        with pytest.raises(FormError, match="refused \\(loopback\\)") as caught:
            post_form(sink.url(host="localhost"), FIELDS, 3, AddressGuard())

        assert sink.connections == 0
    assert not caught.value.may_retry


def test_a_redirect_is_not_followed() -> None:
    with running_sink() as target:
        away = (
            f"HTTP/1.1 307 Moved\r\nLocation: {target.url()}\r\nContent-Length: 0\r\n\r\n".encode()
        )
        with running_sink(answer(away)) as sink, pytest.raises(FormError, match="307"):
            post_form(sink.url(), FIELDS, 3, LOOPBACK)

    assert target.received == []


@pytest.mark.parametrize(
    ("status", "may_retry"), [(400, False), (401, False), (408, True), (429, True), (503, True)]
)
def test_only_trouble_that_passes_is_worth_a_retry(status: int, may_retry: bool) -> None:  # noqa: FBT001 - a table's column
    refusal = f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()
    with running_sink(answer(refusal)) as sink, pytest.raises(FormError) as caught:
        post_form(sink.url(), FIELDS, 3, LOOPBACK)

    assert (caught.value.status, caught.value.may_retry) == (status, may_retry)


def test_a_lost_connection_is_worth_a_retry() -> None:
    with running_sink(close_unanswered) as sink, pytest.raises(FormError) as caught:
        post_form(sink.url(), FIELDS, 3, LOOPBACK)

    assert caught.value.may_retry
    assert len(sink.received) == 1


def test_nobody_listening_is_worth_a_retry() -> None:
    with closed_port() as port, pytest.raises(FormError) as caught:
        post_form(f"http://127.0.0.1:{port}/", FIELDS, 3, LOOPBACK)

    assert caught.value.may_retry


def test_the_environments_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")

    with running_sink() as sink:
        post_form(sink.url(), FIELDS, 3, LOOPBACK)

    assert len(sink.received) == 1


def test_no_field_shows_in_an_error() -> None:
    with closed_port() as port, pytest.raises(FormError) as caught:
        post_form(f"http://127.0.0.1:{port}/", FIELDS, 3, LOOPBACK)

    assert "s3cret" not in repr(caught.value) + str(caught.value.__cause__)


def test_a_document_is_fetched_and_nothing_is_sent() -> None:
    with running_sink() as sink:
        body = get_document(sink.url("/keys"), 3, LOOPBACK)

    (got,) = sink.received
    assert body == b'{"id":"m-1"}'
    assert got.head.startswith("GET /keys HTTP/1.1")
    assert got.body == b""


def test_a_document_is_fetched_under_the_same_guard() -> None:
    away = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"
    with running_sink(answer(away)) as sink:
        with pytest.raises(FormError, match="refused \\(loopback\\)"):
            get_document(sink.url(host="localhost"), 3, AddressGuard())
        assert sink.connections == 0
        with pytest.raises(FormError, match="answered 302"):
            get_document(sink.url(), 3, LOOPBACK)


def test_a_document_that_drips_is_cut_off() -> None:
    with running_sink(drip) as sink:
        begun = time.monotonic()

        with pytest.raises(FormError, match="no whole answer"):
            get_document(sink.url(), 0.3, LOOPBACK)

        assert time.monotonic() - begun < 1.5


def test_a_document_that_never_ends_is_read_to_64_kib() -> None:
    whole = b"x" * 100_000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    with running_sink(answer(head + whole)) as sink:
        body = get_document(sink.url(), 3, LOOPBACK)

    assert body == whole[: 64 * 1024]
