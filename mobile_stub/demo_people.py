"""The demo's people: each has a phone, a browser, and a memory of what reached them.

What they remember is reckoned outside the service: the messages their phone showed, and the opens
that the service has acknowledged.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from mobile_stub import page, sdk, tracking
from mobile_stub.browser import Browser
from mobile_stub.demo_service import DemoError, Vendors
from mobile_stub.edge_client import Action, Edge, Phone, wait_in_real_time
from mobile_stub.page import Page
from mobile_stub.scenarios import CART_ADD, Person, Visit

LAUNCH = "application.launch"
_INBOX_WAIT_MS = 200
_GATEWAY_TIMEOUT_S = 5.0
_EXECUTION_PATH = (
    "cjm",
    "_experience",
    "customerJourneyManagement",
    "messageExecution",
    "messageID",
)


@dataclass(frozen=True, slots=True)
class Datastreams:
    """Where phones and pages send: the service and its two datastreams."""

    url: str
    mobile: str
    web: str


@dataclass(frozen=True, slots=True)
class Opened:
    """One push that was tapped. ``delivery_id`` is what its ``_xdm`` named, if it named one."""

    vendor_id: str
    delivery_id: str | None
    is_acknowledged: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """What one person can tell afterwards.

    Attributes:
        shown: What the vendor handed to the phone, oldest first.
        unsent: Hits that the service never acknowledged.
    """

    shown: tuple[dict[str, Any], ...]
    opened: tuple[Opened, ...]
    unsent: int


class Player:
    """One person of the story. ``play`` runs many side by side; one is used by one thread."""

    def __init__(
        self, person: Person, streams: Datastreams, vendors: Vendors, off: threading.Event
    ) -> None:
        self.person = person
        self._vendors = vendors
        self._phone = Phone(
            person.device, Edge(streams.url, streams.mobile), wait=wait_in_real_time(off)
        )
        self._browser = Browser(
            Page(), Edge(streams.url, streams.web), person.crm_id, wait=wait_in_real_time(off)
        )
        self._vendor_http = requests.Session()
        self._vendor_http.trust_env = False
        self._shown: list[dict[str, Any]] = []
        self._opened: list[Opened] = []
        self._hits = 0

    def install(self) -> None:
        """Get a token from the push provider and announce it on the mobile datastream."""
        self._vendor_http.post(
            f"{self._vendors.url}/_phones",
            json={"token": self.person.token},
            timeout=_GATEWAY_TIMEOUT_S,
        ).raise_for_status()
        self._act(lambda held, now: sdk.install(held, self.person.token, now))

    def browse(self) -> None:
        """Look around on the web, as nobody in particular."""
        self._visit(each for each in self.person.visits if not each.logged_in)

    def log_in(self) -> None:
        """Log in on the phone, whose next event says so, and on the page."""
        self._phone.change(lambda held: sdk.login(held, self.person.crm_id))
        self._act(lambda held, now: sdk.event(held, LAUNCH, now))
        self._browser.change(lambda held: page.log_in(held, self.person.crm_id))
        known = (each for each in self.person.visits if each.logged_in)
        self._visit(each for each in known if each.event_type != CART_ADD)

    def shop(self) -> None:
        """Put something into the cart, which is what the segment asks for."""
        self._visit(each for each in self.person.visits if each.event_type == CART_ADD)

    def watch(self, over: threading.Event, tell: Callable[[str], None]) -> None:
        """Open every push that comes, until ``over`` is set and nothing more lies there."""
        after = 0
        is_last = False
        while not is_last:
            is_last = over.is_set()
            for item in self._inbox(after, 0 if is_last else _INBOX_WAIT_MS):
                after = item["seq"]
                self._open(item)
                tell(_shown(item))

    def memory(self) -> Memory:
        """Return what the person can tell."""
        unsent = self._hits - len(self._phone.acknowledged)
        return Memory(tuple(self._shown), tuple(self._opened), unsent)

    def close(self) -> None:
        """Switch everything off."""
        self._phone.close()
        self._browser.close()
        self._vendor_http.close()

    def _act(self, action: Action) -> str | None:
        hit = self._phone.act(action)
        self._hits += hit is not None
        self._phone.drain()
        return None if hit is None else hit.id

    def _visit(self, visits: Iterable[Visit]) -> None:
        for each in visits:
            self._browser.send(each.event_type, each.path, xdm=each.xdm)

    def _inbox(self, after: int, wait_ms: int) -> list[dict[str, Any]]:
        answer = self._vendor_http.get(
            f"{self._vendors.url}/_inbox/{quote(self.person.token, safe='')}",
            params={"after": after, "waitMs": wait_ms},
            timeout=_GATEWAY_TIMEOUT_S,
        )
        answer.raise_for_status()
        messages: list[dict[str, Any]] = answer.json()["messages"]
        return messages

    def _open(self, item: dict[str, Any]) -> None:
        push = tracking.read_push(item)
        hit_id = self._act(lambda held, now: tracking.opened(held, push, now))
        self._shown.append(item)
        is_acknowledged = hit_id is not None and hit_id in self._phone.acknowledged
        self._opened.append(Opened(item["id"], _delivery_of(push), is_acknowledged))


def play(
    players: Sequence[Player],
    deed: Callable[[Player], None],
    off: threading.Event,
    within_s: float,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Let everybody do something at the same time and return when all have done it.

    Args:
        players: Who.
        deed: What.
        off: Set when somebody could not; every phone and browser gives up then.
        within_s: Seconds that all may take together.
        meanwhile: What to do beside it, in this thread.

    Raises:
        DemoError: Somebody could not, or was late.
    """
    with ThreadPoolExecutor(len(players), thread_name_prefix="person") as people:
        deeds = {people.submit(deed, each): each.person for each in players}
        try:
            meanwhile()
            done, late = wait(deeds, within_s, FIRST_EXCEPTION)
            failed = [each for each in done if each.exception() is not None]
            if not failed and not late:
                return
        finally:
            if not all(each.done() for each in deeds):
                off.set()
    if failed:
        error = failed[0].exception()
        raise DemoError(f"{deeds[failed[0]].first_name} could not go on: {error}") from error
    raise DemoError(f"{len(late)} people were not done within {within_s:.0f} s")


def _shown(item: dict[str, Any]) -> str:
    """Return what the person sees and does."""
    message = item["message"]
    text = message.get("body") or message.get("data", {}).get("adb_body")
    return f"opens the push \u201c{text}\u201d"


def _delivery_of(push: tracking.Push) -> str | None:
    """Return the delivery that a push says it belongs to."""
    found: Any = push.xdm
    for name in _EXECUTION_PATH:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else None
