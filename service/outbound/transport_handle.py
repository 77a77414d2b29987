"""One libcurl handle: how it is set up, what its callbacks see, and how its call ended."""

import socket
import time
from typing import Any, Final

import certifi
import pycurl

from service.outbound.egress import AddressGuard
from service.outbound.transport import (
    Call,
    Headers,
    HttpVersion,
    LaneOptions,
    OnStart,
    Reply,
    ReplyKind,
    Trouble,
)

_BODY_LIMIT: Final = 64 * 1024
_IDLE_LIMIT_S: Final = 4  # Node closes an idle connection after 5 s: be gone before that
_HAPPY_EYEBALLS_TIMEOUT_MS: Final = 271  # CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, unnamed in pycurl 7.49
_VERDICTS_KEPT: Final = 64
_NEVER_MS: Final = 3_600_000
_NOT_SENT: Final = {
    pycurl.E_COULDNT_RESOLVE_HOST: Trouble.DNS,
    pycurl.E_COULDNT_RESOLVE_PROXY: Trouble.DNS,
    pycurl.E_COULDNT_CONNECT: Trouble.CONNECT,
    pycurl.E_SSL_CONNECT_ERROR: Trouble.TLS,
    pycurl.E_PEER_FAILED_VERIFICATION: Trouble.TLS,
    pycurl.E_SSL_CACERT_BADFILE: Trouble.TLS,
    pycurl.E_URL_MALFORMAT: Trouble.MALFORMED,
    pycurl.E_UNSUPPORTED_PROTOCOL: Trouble.MALFORMED,
    pycurl.E_OPERATION_TIMEDOUT: Trouble.TIMEOUT,
    pycurl.E_ABORTED_BY_CALLBACK: Trouble.PERMIT_REFUSED,
}


class _Socket(socket.socket):
    """A socket of which libcurl keeps a duplicate; ours closes when pycurl drops it."""

    def __del__(self) -> None:
        self.close()


class Sockets:
    """Opens a lane's sockets, each address judged first.

    Attributes:
        highest: The highest descriptor opened so far.
    """

    def __init__(self, guard: AddressGuard | None) -> None:
        self._guard = guard
        self._verdicts: dict[str, bool] = {}
        self.highest = 0

    def may_call(self, address: str) -> bool:
        """Tell whether the guard lets an address pass; without a guard every one does."""
        verdict = self._verdicts.get(address)
        if verdict is None:
            verdict = self._guard is None or self._guard.refusal(address) is None
            self._verdicts = {**self._verdicts, address: verdict} if self._has_room else {}
        return verdict

    @property
    def _has_room(self) -> bool:
        return len(self._verdicts) < _VERDICTS_KEPT

    def open(self, address: Any) -> socket.socket | None:
        """Return a socket for libcurl to connect, or ``None`` when the address is refused."""
        family, kind, protocol, target = address
        if family not in (socket.AF_INET, socket.AF_INET6) or not self.may_call(target[0]):
            return None
        opened = _Socket(family, kind, protocol)
        self.highest = max(self.highest, opened.fileno())
        return opened


class CurlHandle:
    """One easy handle with the facts of the call it carries."""

    def __init__(self, sockets: Sockets, options: LaneOptions, on_start: OnStart) -> None:
        self.curl = pycurl.Curl()
        self._sockets = sockets
        self._on_start = on_start
        self._call: Call | None = None
        self._trouble: Trouble | None = None
        self._started_ns = 0
        self._connected_to = ""
        self._url = ""
        self._method = ""
        self._limits = (0, 0)
        self._headers: Headers | None = None
        self._header_lines: list[bytes] = []
        self._body = bytearray()
        self._is_cut = False
        self._has_tried = False
        _set_up(self.curl, options)
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        self.curl.setopt(pycurl.PREREQFUNCTION, self._may_start)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._header_lines.append)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take_body)

    def prepare(self, call: Call, pin: str | None) -> None:
        """Set what differs from the call before; most calls of a lane differ in the body only."""
        curl = self.curl
        if call.headers != self._headers:
            curl.setopt(pycurl.HTTPHEADER, _header_lines(call.headers))
            self._headers = call.headers
        if call.url != self._url:
            curl.setopt(pycurl.URL, call.url)
            self._url = call.url
        if call.method != self._method:
            curl.setopt(pycurl.CUSTOMREQUEST, call.method)
            self._method = call.method
        if call.method == "GET":
            curl.setopt(pycurl.HTTPGET, 1)
        else:
            curl.setopt(pycurl.POSTFIELDS, call.body)
        if pin is not None:
            curl.setopt(pycurl.CONNECT_TO, [pin])
        limits = call.timeout_ms, call.connect_timeout_ms
        if limits != self._limits:
            curl.setopt(pycurl.TIMEOUT_MS, call.timeout_ms)
            curl.setopt(pycurl.CONNECTTIMEOUT_MS, call.connect_timeout_ms)
            self._limits = limits
        self._call = call
        self._trouble = None
        self._started_ns = 0
        self._connected_to = ""
        self._header_lines.clear()
        self._body.clear()
        self._is_cut = False
        self._has_tried = False

    def reply(self, code: int) -> Reply:
        """Return how the call ended, from libcurl's code and what the callbacks saw."""
        if code == pycurl.E_OK or self._is_cut:
            return self._reply(ReplyKind.ANSWERED, None)
        if self._started_ns == 0:
            trouble = self._trouble or _NOT_SENT.get(code, Trouble.CONNECT)
            return self._reply(ReplyKind.NOT_SENT, trouble)
        late = Trouble.TIMEOUT if code == pycurl.E_OPERATION_TIMEDOUT else Trouble.RESET
        return self._reply(ReplyKind.UNKNOWN, self._trouble or late)

    def abandon(self) -> Reply:
        """Return how the call ended because its lane was closed."""
        kind = ReplyKind.UNKNOWN if self._started_ns else ReplyKind.NOT_SENT
        return self._reply(kind, Trouble.LANE_CLOSED)

    def _reply(self, kind: ReplyKind, trouble: Trouble | None) -> Reply:
        call = self._call
        if call is None:
            raise RuntimeError("A handle without a call cannot be replied for.")
        return Reply(
            key=call.key,
            kind=kind,
            status=self.curl.getinfo(pycurl.RESPONSE_CODE) if self._started_ns else 0,
            headers=tuple(self._header_lines),
            body=bytes(self._body),
            started_ns=self._started_ns,
            ended_ns=time.monotonic_ns(),
            trouble=trouble,
            connected_to=self._connected_to,
        )

    def _open_socket(self, _purpose: int, address: Any) -> Any:
        opened = self._sockets.open(address)
        if opened is None:
            # Another address of the host that was tried says more than one that was not.
            self._trouble = None if self._has_tried else Trouble.ADDRESS_REFUSED
            return pycurl.SOCKET_BAD
        self._has_tried = True
        self._trouble = None
        return opened

    def _may_start(self, remote: str, _local: str, _remote_port: int, _local_port: int) -> int:
        if self._started_ns:
            self._trouble = Trouble.RESEND_STOPPED
            return pycurl.PREREQFUNC_ABORT
        self._connected_to = remote
        if not self._sockets.may_call(remote):
            self._trouble = Trouble.ADDRESS_REFUSED
            return pycurl.PREREQFUNC_ABORT
        if self._call is None or not self._on_start(self._call):
            self._trouble = Trouble.PERMIT_REFUSED
            return pycurl.PREREQFUNC_ABORT
        self._trouble = None
        self._started_ns = time.monotonic_ns()
        return pycurl.PREREQFUNC_OK

    def _take_body(self, chunk: bytes) -> int:
        room = _BODY_LIMIT - len(self._body)
        self._body += chunk[:room]
        if len(chunk) > room:
            self._is_cut = True
            return 0
        return len(chunk)


def _set_up(curl: pycurl.Curl, options: LaneOptions) -> None:
    settings: tuple[tuple[int, Any], ...] = (
        (pycurl.NOSIGNAL, 1),
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.FOLLOWLOCATION, 0),
        # An empty string, unlike none, keeps the environment's proxies out.
        (pycurl.PROXY, options.proxy or ""),
        (pycurl.NOPROXY, "" if options.proxy else "*"),
        (pycurl.USERAGENT, "edgepost"),
        (pycurl.CAINFO, options.ca_file or certifi.where()),
        (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
        (pycurl.TCP_NODELAY, 1),
        (pycurl.MAXAGE_CONN, _IDLE_LIMIT_S),
        # Two address families tried at once would be two connections for one slot.
        (_HAPPY_EYEBALLS_TIMEOUT_MS, _NEVER_MS),
    )
    for option, value in settings:
        curl.setopt(option, value)
    if options.http_version is HttpVersion.HTTP_2:
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        curl.setopt(pycurl.PIPEWAIT, 1)
    else:
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)


def _header_lines(headers: Headers) -> list[bytes]:
    """Return headers as libcurl takes them; an empty ``Expect`` keeps it from waiting for a 100.

    Raises:
        ValueError: A name or value holds a line break or NUL.
    """
    lines = [b"Expect:"]
    for name, value in headers:
        if not {"\r", "\n", "\0"}.isdisjoint(name + value):
            raise ValueError(f"The header {name!r} holds a control character.")
        lines.append(f"{name}: {value}".encode() if value else f"{name};".encode())
    return lines
