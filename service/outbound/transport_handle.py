"""One libcurl handle: how it is set up, what its callbacks see, and how its call ended."""

import time
from typing import Any, Final

import certifi
import pycurl

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
from service.outbound.transport_sockets import Sockets
from service.outbound.transport_streams import Connection, Entry, Streams

_IDLE_LIMIT_S: Final = {
    HttpVersion.HTTP_1_1: 4,  # Node closes an idle connection after 5 s: be gone before that
    HttpVersion.HTTP_2: 300,  # a server says GOAWAY, so only a silent NAT has to be feared
}
_HAPPY_EYEBALLS_TIMEOUT_MS: Final = 271  # CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, unnamed in pycurl 7.49
_NEVER_MS: Final = 3_600_000
_BODILESS: Final = frozenset({"GET", "DELETE"})
_NOT_SENT: Final = {
    pycurl.E_COULDNT_RESOLVE_HOST: Trouble.DNS,
    pycurl.E_COULDNT_RESOLVE_PROXY: Trouble.DNS,
    pycurl.E_COULDNT_CONNECT: Trouble.CONNECT,
    pycurl.E_SSL_CONNECT_ERROR: Trouble.TLS,
    pycurl.E_PEER_FAILED_VERIFICATION: Trouble.TLS,
    pycurl.E_SSL_CACERT_BADFILE: Trouble.TLS,
    pycurl.E_SSL_CERTPROBLEM: Trouble.TLS,
    pycurl.E_URL_MALFORMAT: Trouble.MALFORMED,
    pycurl.E_UNSUPPORTED_PROTOCOL: Trouble.MALFORMED,
    pycurl.E_OPERATION_TIMEDOUT: Trouble.TIMEOUT,
    pycurl.E_ABORTED_BY_CALLBACK: Trouble.PERMIT_REFUSED,
}
_NOWHERE: Final = ("", 0)
_HTTP2_STREAM: Final = 92  # CURLE_HTTP2_STREAM, unnamed in pycurl 7.49
_STREAM_ONLY: Final = frozenset({_HTTP2_STREAM, pycurl.E_OPERATION_TIMEDOUT})


class CurlHandle:
    """One easy handle with the facts of the call it carries.

    Attributes:
        connection: Our end of the connection that the call started on.
        is_held: Whether its connection must first answer the call that it carries already.
        needs_another: Whether it is held because its connection is broken.
        broke: Whether the connection that it started on went with the call.
    """

    def __init__(
        self,
        sockets: Sockets,
        options: LaneOptions,
        on_start: OnStart,
        streams: Streams | None = None,
    ) -> None:
        self.curl = pycurl.Curl()
        self.connection: Connection = _NOWHERE
        self.is_held = self.needs_another = self.broke = False
        self._sockets = sockets
        self._on_start = on_start
        self._streams = streams
        self._is_refused = False
        self._is_fresh = False
        self._prepared_ns = 0
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
        self._longest_body = options.longest_body
        self._is_cut = False
        self._has_tried = False
        _set_up(self.curl, options)
        if streams is not None:
            self.curl.setopt(pycurl.DEBUGFUNCTION, self._listen)
            self.curl.setopt(pycurl.VERBOSE, 1)
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
        if call.method in _BODILESS:
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
        self._is_refused = False
        self.is_held = self.needs_another = self.broke = False
        self.connection = _NOWHERE
        if self._is_fresh:
            curl.setopt(pycurl.FRESH_CONNECT, 0)
            self._is_fresh = False
        self._prepared_ns = time.monotonic_ns()

    @property
    def has_started(self) -> bool:
        """Whether the call went on the wire."""
        return self._started_ns > 0

    @property
    def left_ms(self) -> int:
        """How much is left of the call's whole time."""
        spent_ms = (time.monotonic_ns() - self._prepared_ns) // 1_000_000
        return (self._call.timeout_ms if self._call is not None else 0) - spent_ms

    def try_again(self, *, elsewhere: bool = False) -> None:
        """Make a held call ready for another try, in what is left of its time.

        ``elsewhere``: on a connection of its own making.
        """
        self._limits = (max(1, self.left_ms), self._limits[1])
        self.curl.setopt(pycurl.TIMEOUT_MS, self._limits[0])
        self.curl.setopt(pycurl.FRESH_CONNECT, int(elsewhere))
        self._is_fresh = elsewhere
        self.is_held = self.needs_another = self._has_tried = False
        self._trouble = None

    def reply(self, code: int) -> Reply:
        """Return how the call ended, from libcurl's code and what the callbacks saw."""
        if code == pycurl.E_OK or self._is_cut:
            return self._reply(ReplyKind.ANSWERED, None)
        if self._started_ns == 0:
            trouble = self._trouble or _NOT_SENT.get(code, Trouble.CONNECT)
            return self._reply(ReplyKind.NOT_SENT, trouble)
        self.broke = code not in _STREAM_ONLY
        if self._is_refused:
            return self._reply(ReplyKind.NOT_SENT, Trouble.STREAM_REFUSED)
        late = Trouble.TIMEOUT if code == pycurl.E_OPERATION_TIMEDOUT else Trouble.RESET
        return self._reply(ReplyKind.UNKNOWN, self._trouble or late)

    def abandon(self, trouble: Trouble = Trouble.LANE_CLOSED) -> Reply:
        """Return how the call ended because its lane was closed, or would not wait for it."""
        kind = ReplyKind.UNKNOWN if self._started_ns else ReplyKind.NOT_SENT
        return self._reply(kind, trouble)

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

    def _listen(self, kind: int, text: bytes) -> None:
        """Learn that the server did not look at a stream: libcurl tells it in words only.

        Where the words are others, the call counts as doubtful.
        """
        if kind == pycurl.INFOTYPE_TEXT and text.startswith(b"HTTP/2 stream "):
            self._is_refused = self._is_refused or b" refused by server" in text

    def _may_start(self, remote: str, local: str, _remote_port: int, local_port: int) -> int:
        if self._started_ns:
            self._trouble = Trouble.RESEND_STOPPED
            return pycurl.PREREQFUNC_ABORT
        self._connected_to = remote
        if not self._sockets.may_call(remote):
            self._trouble = Trouble.ADDRESS_REFUSED
            return pycurl.PREREQFUNC_ABORT
        end = (local, local_port)
        if self._streams is not None:
            entry = self._streams.entry(end, is_new=self._has_tried)
            if entry is not Entry.START:
                self.is_held, self.needs_another = True, entry is Entry.GO_ELSEWHERE
                return pycurl.PREREQFUNC_ABORT
        if self._call is None or not self._on_start(self._call):
            self._trouble = Trouble.PERMIT_REFUSED
            return pycurl.PREREQFUNC_ABORT
        if self._streams is not None:
            self._streams.enter(end)
            self.connection = end
        self._trouble = None
        self._started_ns = time.monotonic_ns()
        return pycurl.PREREQFUNC_OK

    def _take_body(self, chunk: bytes) -> int:
        room = self._longest_body - len(self._body)
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
        # Without a tunnel a proxy would see the request, and look the name up by itself.
        (pycurl.HTTPPROXYTUNNEL, 1 if options.proxy else 0),
        (pycurl.USERAGENT, "edgepost"),
        (pycurl.CAINFO, options.ca_file or certifi.where()),
        (pycurl.PROXY_CAINFO, options.ca_file or certifi.where()),
        (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
        (pycurl.TCP_NODELAY, 1),
        (pycurl.MAXAGE_CONN, _IDLE_LIMIT_S[options.http_version]),
        # Two address families tried at once would be two connections for one slot.
        (_HAPPY_EYEBALLS_TIMEOUT_MS, _NEVER_MS),
    )
    for option, value in settings:
        curl.setopt(option, value)
    if options.certificate is not None:
        curl.setopt(pycurl.SSLCERT_BLOB, options.certificate.chain.encode())
        curl.setopt(pycurl.SSLKEY_BLOB, options.certificate.private_key.reveal().encode())
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
