"""Public keys that customers publish at a URL (JWKS), kept for ten minutes per process.

A set is fetched in a thread of its own. Whoever needs it waits two seconds at most, name look-up
included; nobody waits for the renewal of a set that still counts.

Source: RFC 7517; OpenID Connect Core, "Rotation of asymmetric signing keys".
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import TypeAlias
from urllib.parse import urlsplit

import structlog

from service.access.login_keys import PublicKey, PublishedKey, read_key_set
from service.core.clock import Clock
from service.core.errors import EdgepostError

FRESH_S = 600.0
RENEWED_AFTER_S = 300.0
UNKNOWN_KEY_PAUSE_S = 60.0
FAILURE_PAUSE_S = 10.0
WAIT_S = 2.0
_MOST_SETS = 1_000
_NEVER = float("-inf")
_LOG = structlog.get_logger("service.outbound.key_sets")

GetDocument: TypeAlias = Callable[[str], bytes]
"""Fetches a document from a URL; raises an ``EdgepostError``, ``OSError`` or ``ValueError``."""


class KeysUnavailableError(EdgepostError):
    """The set of keys cannot be had now."""


@dataclass(slots=True)
class _KeySet:
    """One URL's keys; ``asked_at`` is when the last fetch began, ``running`` is set at its end."""

    keys: tuple[PublishedKey, ...] = ()
    read_at: float = _NEVER
    asked_at: float = _NEVER
    has_failed: bool = False
    running: Event | None = field(default=None)


class KeySets:
    """The sets this process has met; safe between threads."""

    def __init__(self, get_document: GetDocument, clock: Clock) -> None:
        self._get_document = get_document
        self._clock = clock
        self._lock = Lock()
        self._sets: dict[str, _KeySet] = {}

    def find(self, url: str, kid: str | None, algorithm: str) -> PublicKey | None:
        """Return the key that a proof names, ``None`` when the set has none such.

        A set of a key that is not known is fetched again, once a minute at most. Without ``kid``
        the set's only key for the algorithm is meant.

        Raises:
            KeysUnavailableError: The set was never read, is older than ten minutes, or lacks the
                key while it cannot be fetched.
        """
        known = self._set_of(url)
        age = self._clock.monotonic() - known.read_at
        if age >= FRESH_S:
            self._fetch_and_wait(url, known, FAILURE_PAUSE_S)
            if self._clock.monotonic() - known.read_at >= FRESH_S:
                raise KeysUnavailableError("The key set cannot be fetched.")
        elif age >= RENEWED_AFTER_S:
            self._begin(url, known, FAILURE_PAUSE_S)
        key = _chosen(known.keys, kid, algorithm)
        if key is None:
            self._fetch_and_wait(url, known, UNKNOWN_KEY_PAUSE_S)
            key = _chosen(known.keys, kid, algorithm)
        if key is None and (known.has_failed or known.running is not None):
            raise KeysUnavailableError("The key set cannot be fetched again.")
        return key

    def _set_of(self, url: str) -> _KeySet:
        with self._lock:
            if url not in self._sets and len(self._sets) >= _MOST_SETS:
                self._sets.clear()
            return self._sets.setdefault(url, _KeySet())

    def _fetch_and_wait(self, url: str, known: _KeySet, pause_s: float) -> None:
        """Wait for the fetch that runs, or that this begins, until it is two seconds old."""
        running = self._begin(url, known, pause_s)
        if running is not None:
            running.wait(max(0.0, known.asked_at + WAIT_S - self._clock.monotonic()))

    def _begin(self, url: str, known: _KeySet, pause_s: float) -> Event | None:
        """Begin a fetch unless one runs or the last began too short a time ago."""
        with self._lock:
            now = self._clock.monotonic()
            if known.running is not None or now - known.asked_at < pause_s:
                return known.running
            known.running, known.asked_at = Event(), now
            running = known.running
        Thread(target=self._fetch, args=(url, known, running), name="key-set", daemon=True).start()
        return running

    def _fetch(self, url: str, known: _KeySet, running: Event) -> None:
        try:
            keys = read_key_set(self._get_document(url))
        except (EdgepostError, OSError, ValueError) as error:
            why = error.detail if isinstance(error, EdgepostError) else type(error).__name__
            # the host only: a query may hold what the customer keeps secret
            _LOG.warning("key_set_unavailable", host=urlsplit(url).hostname, reason=why)
            known.has_failed = True
        else:
            known.keys, known.has_failed = keys, False
            known.read_at = known.asked_at
        finally:
            with self._lock:
                known.running = None
            running.set()


def _chosen(keys: tuple[PublishedKey, ...], kid: str | None, algorithm: str) -> PublicKey | None:
    fitting = [each.key for each in keys if each.algorithm == algorithm and kid in {None, each.kid}]
    return fitting[0] if len(fitting) == 1 or (fitting and kid is not None) else None
