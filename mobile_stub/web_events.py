"""What leaves a page and when: events wait for consent, and one by one until there is an identity.

Source: alloy ``Consent/createComponent``, ``createConsentStateMachine`` and
``injectEnsureSingleIdentity`` (https://github.com/adobe/alloy).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mobile_stub import web_consent
from mobile_stub.fetch import Call, PageError
from mobile_stub.page import Sent, consent_body, request_body
from mobile_stub.tab import Tab
from mobile_stub.web_consent import Consent, Gate

_LONGEST_QUEUE_MS = 300_000


class DeclinedError(PageError):
    """The visitor has declined, or nobody has asked and the default is no."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event, and when the page sent it."""

    event: dict[str, Any]
    called_at: datetime
    overrides: dict[str, Any] | None = None


class EventLine:
    """The requests of one page, in their order.

    Attributes:
        gate: Whether events leave now.
        waiting: The events that wait for consent.
        acknowledged: The ``requestId`` of each kept request.
    """

    def __init__(self, tab: Tab, default_consent: Gate, clock: Callable[[], datetime]) -> None:
        self.tab = tab
        self.gate = default_consent
        self.waiting: list[Waiting] = []
        self.acknowledged: list[str] = []
        self._default = default_consent
        self._clock = clock
        self._told: dict[str, str] = {}

    def restart(self) -> None:
        """Begin as a page does that is loaded: a consent without its identity is forgotten."""
        tab = self.tab
        self.waiting.clear()
        tab.look()
        is_known = tab.cookie("identity") is not None
        if not (is_known and tab.cookie("consent")):
            self._told.clear()
        if not is_known:
            tab.jar.remove(tab.page.cookie_name("consent"), tab.page.host)
            tab.look()
        self.gate = web_consent.gate_of(tab.cookie("consent")) or self._default

    def submit(self, waiting: Waiting) -> str | None:
        """Send an event; ``None`` while it waits for consent.

        Raises:
            PageError: The page's call would have been rejected.
        """
        if self.gate is Gate.OUT:
            raise DeclinedError("the visitor declined consent")
        if self.gate is Gate.PENDING:
            self.waiting.append(waiting)
            return None
        return self._interact(waiting)

    def release(self, waiting: Sequence[Waiting]) -> list[str | PageError]:
        """Send events: one request at a time until there is an identity, then all together."""
        results: list[str | PageError] = []
        rest = list(waiting)
        while rest and self.tab.cookie("identity") is None:
            results.append(self._tried(rest.pop(0)))
        if rest:
            with ThreadPoolExecutor(len(rest)) as pool:
                results += pool.map(self._tried, rest)
        return results

    def set_consent(
        self, consents: list[Consent], identity_map: dict[str, Any] | None
    ) -> str | None:
        """Tell the visitor's choice; what ``Browser.set_consent`` says."""
        told = web_consent.fingerprints(consents)
        self.gate = Gate.PENDING
        now = self._clock()
        call = self.tab.call(
            "privacy/set-consent", lambda page: consent_body(page, now, consents, identity_map)
        )
        try:
            if told.items() <= self._told.items():
                return None
            self.tab.fetch(call)
            self._told.update(told)
        except PageError:
            if not self.tab.cookie("consent"):
                self._pass(self._default)
            raise
        finally:
            self._read_consent()
        self.acknowledged.append(call.request_id)
        return call.request_id

    def fetch(self, call: Call) -> None:
        """Send one request; the consent cookie may have changed with any answer, failed or not."""
        try:
            self.tab.fetch(call)
        finally:
            self._read_consent()

    def _interact(self, waiting: Waiting) -> str:
        now = self._clock()
        overrides = dict(waiting.overrides or {})
        configured = self.tab.edge.datastream_id
        datastream = str(overrides.pop("datastreamId", ""))
        is_other = datastream not in {"", configured}
        waited_ms = round((now - waiting.called_at).total_seconds() * 1000)
        sent = Sent(
            queued_ms=min(max(waited_ms, 0), _LONGEST_QUEUE_MS),
            overrides=overrides or None,
            original_datastream=configured if is_other else "",
            fetches_core=self.tab.asks_third_party,
        )
        call = self.tab.call(
            "interact", lambda page: request_body(page, now, [waiting.event], sent), datastream
        )
        self.fetch(call)
        self.acknowledged.append(call.request_id)
        return call.request_id

    def _read_consent(self) -> None:
        gate = web_consent.gate_of(self.tab.cookie("consent"))
        if gate is not None:
            self._pass(gate)

    def _pass(self, gate: Gate) -> None:
        """Let what waits go, or forget it."""
        self.gate = gate
        if gate is Gate.PENDING:
            return
        waiting, self.waiting = self.waiting, []
        if gate is Gate.IN:
            self.release(waiting)

    def _tried(self, waiting: Waiting) -> str | PageError:
        try:
            return self._interact(waiting)
        except PageError as error:
            return error
