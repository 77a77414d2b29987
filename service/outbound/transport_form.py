"""The control plane's requests, on the very road of the messages: a token's, and a document's.

A token is asked for at a token endpoint, a document is a set of public keys. Each request opens a
lane of its own and blocks the thread that asks; guard, proxy, certificate and limits are those of
every lane.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from service.core.errors import EdgepostError
from service.outbound.connection_spec import DIRECT, ConnectionSpec
from service.outbound.egress import AddressGuard
from service.outbound.transport import Call, CallParts, LaneOptions, Reply, ReplyKind, Trouble
from service.outbound.transport_curl import CurlTransport

_OK = range(200, 300)
_SERVER_ERRORS = 500
_PASSES = frozenset({408, 425, 429})
_LASTS = frozenset({Trouble.ADDRESS_REFUSED, Trouble.MALFORMED})
_WHY = {
    Trouble.DNS: "has a host that is not found",
    Trouble.CONNECT: "cannot be connected to",
    Trouble.TLS: "has a certificate or TLS version that is not accepted, or asks for one of ours",
    Trouble.MALFORMED: "has an address that cannot be called",
}

AskToken: TypeAlias = Callable[[CallParts, ConnectionSpec], bytes]
"""Sends a request to a token endpoint and returns the answer's body; raises ``FormError``."""


class FormError(EdgepostError):
    """A request to a token endpoint or for a document got no usable answer.

    Attributes:
        status: The HTTP status; 0 when none arrived.
        may_retry: Whether waiting can help: the other side was away, slow or overloaded.
        body: What a refusal said; never for a log.
    """

    def __init__(
        self, detail: str, *, status: int = 0, may_retry: bool = True, body: bytes = b""
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.may_retry = may_retry
        self.body = body


def ask_token(
    parts: CallParts,
    connection: ConnectionSpec = DIRECT,
    *,
    timeout: float,
    guard: AddressGuard,
    ca_file: str | None = None,
) -> bytes:
    """Send a request to a token endpoint once and return the body of its 2xx answer.

    Redirects are not followed, the environment's proxies and .netrc are not read, and each
    address is judged before it is connected.

    Args:
        parts: The request; may be secret, and appears in no error.
        connection: How the action's own calls connect.
        timeout: Seconds for the whole exchange, a dripping answer included.
        guard: Judges addresses.
        ca_file: Certificates to trust in place of certifi's.

    Raises:
        FormError: No answer in time, an address was refused, or the answer is not 2xx.
    """
    options = LaneOptions(
        slots=1,
        proxy=None if connection.proxy is None else connection.proxy.reveal(),
        certificate=connection.certificate,
        ca_file=ca_file,
    )
    return _exchange("The token endpoint", parts, options, timeout, guard)


def get_document(
    url: str, timeout: float, guard: AddressGuard, ca_file: str | None = None
) -> bytes:
    """Fetch a document once, at most 64 KiB of it; all else as for ``ask_token``.

    Raises:
        FormError: As for ``ask_token``.
    """
    parts = CallParts("GET", url, (), b"")
    options = LaneOptions(slots=1, ca_file=ca_file)
    return _exchange("The key set's endpoint", parts, options, timeout, guard)


def _exchange(
    named: str, parts: CallParts, options: LaneOptions, timeout: float, guard: AddressGuard
) -> bytes:
    noting = _NotingGuard(guard)
    limit_ms = max(1, int(timeout * 1000))
    call = Call.of(0, parts, timeout_ms=limit_ms, connect_timeout_ms=limit_ms)
    lane = CurlTransport(noting).open_lane(options, _at_once)
    try:
        lane.submit(call)
        replies: list[Reply] = []
        while not replies:
            replies = lane.run_once(timeout)
    except ValueError as error:
        raise FormError(f"A header for {named.lower()} spans lines.", may_retry=False) from error
    finally:
        lane.close()
    return _body(named, replies[0], noting.why)


def _body(named: str, reply: Reply, refused: str) -> bytes:
    if reply.trouble is Trouble.ADDRESS_REFUSED:
        raise FormError(f"{named}'s address is refused ({refused}).", may_retry=False)
    if reply.trouble is Trouble.TIMEOUT:
        raise FormError(f"{named} gave no whole answer in time.")
    if reply.kind is not ReplyKind.ANSWERED:
        why = _WHY.get(reply.trouble) if reply.trouble is not None else None
        raise FormError(
            f"{named} {why or 'gave no whole answer'}.", may_retry=reply.trouble not in _LASTS
        )
    if reply.status not in _OK:
        raise FormError(
            f"{named} answered {reply.status}.",
            status=reply.status,
            may_retry=reply.status in _PASSES or reply.status >= _SERVER_ERRORS,
            body=reply.body,
        )
    return reply.body


def _at_once(_: Call) -> bool:
    return True


class _NotingGuard(AddressGuard):
    """A guard that remembers why it last refused."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self.why = ""

    def refusal(self, address: str | IPv4Address | IPv6Address) -> str | None:
        """Return why an address may not be called."""
        why = self._guard.refusal(address)
        self.why = why or self.why
        return why
