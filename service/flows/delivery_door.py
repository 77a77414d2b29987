"""Whether a lane's destination may be called now, and telling the others how it fares.

Source: service/decisions/0020-destinations.md.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from service.db.session import unit_of_work
from service.flows.delivery_permits import LONGEST_HOLD_S
from service.flows.delivery_steps import DeliveryTools, LaneTerms
from service.outbound import destinations
from service.outbound.deliveries import Lane
from service.outbound.destination_health import DestinationHealth
from service.outbound.destination_standing import Standing

_ANY = 1_000_000
_SHORTEST_RAISE = timedelta(seconds=1)
_LONGEST_RAISE = timedelta(seconds=10)


@dataclass(slots=True)
class Door:
    """The way to one destination, for one claim.

    Attributes:
        standing: How it stood a second ago at most.
        is_probe: Whether this claim has the one call that an open breaker lets through.
    """

    tools: DeliveryTools
    lane: Lane
    host: str | None
    standing: Standing
    now: datetime
    is_probe: bool = field(default=False, init=False)

    @property
    def pace(self) -> float:
        """The share of its caps that it bears."""
        return self.standing.pace

    @property
    def limit(self) -> int:
        """How many deliveries are worth claiming: one, if at most a probe may start."""
        is_held = self.standing.held_until(self.now) is not None
        return 1 if self.standing.needs_probe and not is_held else _ANY

    @property
    def again_in_s(self) -> float:
        """How long to leave it alone, at most as long as nobody looks what has expired."""
        until = self.standing.held_until(self.now)
        return 0.0 if until is None else min(LONGEST_HOLD_S, (until - self.now).total_seconds())

    def enter(self, session: Session) -> bool:
        """Tell whether calls may start; behind a breaker that is not closed, the one probe."""
        if self.standing.held_until(self.now) is not None:
            return False
        if not self.standing.needs_probe or self.host is None:
            return True
        scope = self.lane.scope
        probing = destinations.take_probe(session, scope, self.host, now=self.now)
        if probing is None:
            self._keep(destinations.read(session, scope, self.host))
            return not self.standing.needs_probe and self.standing.held_until(self.now) is None
        self.is_probe = True
        self._keep(probing)
        return True

    def close(self, session: Session, *, has_started: bool) -> None:
        """Let somebody else probe if there was no permit for it."""
        if not self.is_probe or has_started or self.host is None:
            return
        self.is_probe = False
        scope = self.lane.scope
        self._keep(destinations.give_probe_back(session, scope, self.host, now=self.now))

    def _keep(self, standing: Standing) -> None:
        self.standing = standing
        if self.host is not None:
            at = self.tools.clock.monotonic()
            self.tools.destinations.keep(self.lane.scope, self.host, standing, at=at)


def look(session: Session, tools: DeliveryTools, lane: Lane, url: str, now: datetime) -> Door:
    """Return the way to a URL's destination."""
    host, at = destinations.host_of(url), tools.clock.monotonic()
    standing = tools.destinations.find(session, lane.scope, host, at=at)
    return Door(tools, lane, host, standing, now)


def tell(
    tools: DeliveryTools, lane: Lane, terms: LaneTerms, health: DestinationHealth
) -> Standing | None:
    """Keep what a lane has seen of its destination, if there is anything to say.

    Raises:
        StoreUnavailableError: Nothing was kept; tell it again later.
    """
    if terms.action is None or terms.limits is None:
        return None
    host, now = destinations.host_of(terms.action.url), tools.clock.now()
    if host is None:  # what one of many hosts said must not hold the calls to the others
        health.told(now=now)
        return None
    said = health.report(tools.destinations.last(lane.scope, host), now=now)
    if said is None:
        return None
    shortest = min(rate.cap.period_in_ms for rate in terms.limits.rates)
    step = min(max(timedelta(milliseconds=shortest), _SHORTEST_RAISE), _LONGEST_RAISE)
    with unit_of_work(tools.sessions) as session:
        standing = destinations.report(session, lane.scope, host, said, now=now, raise_after=step)
    health.told(now=now)
    return tools.destinations.keep(lane.scope, host, standing, at=tools.clock.monotonic())
