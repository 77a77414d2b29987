"""The control plane's requests, guarded like every other call: a form, and a document.

A form goes to a token endpoint, a document is a set of public keys. Not for messages: each request
opens a connection of its own and blocks the thread that asks.
"""

import os
import socket
from threading import Timer
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from service.core.errors import EdgepostError
from service.outbound.egress import AddressGuard

_MAX_ANSWER = 64 * 1024


class FormError(EdgepostError):
    """A form or the request for a document got no usable answer.

    Attributes:
        status: The HTTP status; 0 when none arrived.
        may_retry: Whether waiting can help: the other side was away, slow or overloaded.
    """

    def __init__(self, detail: str, *, status: int = 0, may_retry: bool = True) -> None:
        super().__init__(detail)
        self.status = status
        self.may_retry = may_retry


def post_form(url: str, fields: dict[str, str], timeout: float, guard: AddressGuard) -> bytes:
    """Post a form once and return the body of its 2xx answer.

    Redirects are not followed, the environment's proxies and .netrc are not read, and each
    address is judged before it is connected.

    Args:
        url: Where to; http or https.
        fields: What the form holds; may be secret, and appears in no error.
        timeout: Seconds for everything after the name look-up, a dripping answer included.
        guard: Judges addresses.

    Raises:
        FormError: No answer in time, an address was refused, or the answer is not 2xx.
    """
    return _exchange("POST", url, fields, timeout, guard)


def get_document(url: str, timeout: float, guard: AddressGuard) -> bytes:
    """Fetch a document once, at most 64 KiB of it; all else as for ``post_form``.

    Raises:
        FormError: As for ``post_form``.
    """
    return _exchange("GET", url, None, timeout, guard)


def _exchange(
    method: str, url: str, fields: dict[str, str] | None, timeout: float, guard: AddressGuard
) -> bytes:
    named = "The token endpoint" if method == "POST" else "The key set's endpoint"
    wire = _Wire(guard, timeout)
    session = _session(wire)
    alarm = Timer(timeout, wire.cut)
    alarm.daemon = True
    alarm.start()
    try:
        answer = session.request(
            method,
            url,
            data=fields,
            timeout=timeout,
            allow_redirects=False,
            stream=True,
            verify=certifi.where(),
        )
        body: bytes = answer.raw.read(_MAX_ANSWER, decode_content=True)
    except (OSError, requests.RequestException, HTTPError) as error:
        if wire.refused:
            raise FormError(
                f"{named}'s address is refused ({wire.refused}).", may_retry=False
            ) from error
        raise FormError(f"{named} gave no whole answer.") from error
    finally:
        alarm.cancel()
        wire.release()
        session.close()
    if wire.is_cut:
        raise FormError(f"{named} gave no whole answer in time.")
    _check_status(answer.status_code, named)
    return body


def _check_status(status: int, named: str) -> None:
    codes = requests.codes
    if not codes.ok <= status < codes.multiple_choices:
        passes = status in (codes.request_timeout, codes.too_many_requests)
        raise FormError(
            f"{named} answered {status}.",
            status=status,
            may_retry=passes or status >= codes.server_error,
        )


def _session(wire: "_Wire") -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    adapter = _GuardedAdapter()
    adapter.guard_with(wire)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


class _Wire:
    """The one connection of an exchange: judged before it stands, cut when time is up."""

    def __init__(self, guard: AddressGuard, timeout: float) -> None:
        self._guard = guard
        self._timeout = timeout
        self._spare: socket.socket | None = None
        self.refused = ""
        self.is_cut = False

    def connect(self, host: str, port: int | None) -> socket.socket:
        """Connect to the first address of a host that is allowed and answers."""
        trouble: OSError = ConnectionRefusedError("no address may be called")
        for family, kind, protocol, _, target in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        ):
            why = self._guard.refusal(str(target[0]))
            if why is not None:
                self.refused = why
                continue
            if self.is_cut:
                raise TimeoutError("the name look-up took all the time")
            connected = socket.socket(family, kind, protocol)
            connected.settimeout(self._timeout)
            try:
                connected.connect(target)
            except OSError as error:
                connected.close()
                trouble = error
                continue
            self.refused = ""
            # TLS takes the socket over; a second descriptor of the same connection stays ours.
            self._spare = socket.socket(fileno=os.dup(connected.fileno()))
            return connected
        raise trouble

    def cut(self) -> None:
        """End the exchange now, whatever it waits for."""
        self.is_cut = True
        if self._spare is not None:
            try:
                self._spare.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it had ended by itself

    def release(self) -> None:
        """Give the spare descriptor back."""
        if self._spare is not None:
            self._spare.close()


class _GuardedAdapter(HTTPAdapter):
    """An adapter whose connections are opened by a ``_Wire``."""

    def guard_with(self, wire: _Wire) -> None:
        """Open every connection through the wire."""

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return wire.connect(self.host, self.port)

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return wire.connect(self.host, self.port)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        manager: Any = self.poolmanager
        manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
