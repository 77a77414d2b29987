"""The connections that one lane of one process may hold open, leased and kept.

A lane asks each step; the answer is cheap unless a renewal is due. A smaller answer than before
means: close connections first, before the next question, which gives them back.

Source: service/decisions/0005-permit-life.md; Journey Optimizer, ``maxHttpConnections``.
"""

from uuid import UUID

from sqlalchemy.orm import Session

from service.core.errors import StoreUnavailableError
from service.core.ids import derived_key
from service.db.session import unit_of_work
from service.flows.delivery_steps import DeliveryTools
from service.outbound import connections
from service.outbound.connections import ConnectionLimit, Lease
from service.outbound.deliveries import Lane

TTL_S = 30.0
_RENEW_AFTER_S = TTL_S / 3
_ASK_AGAIN_S = 0.5
_SPARE_S = 2.0


class LaneConnections:
    """The leases of one lane under every limit that matches; used by one thread."""

    def __init__(self, tools: DeliveryTools, lane: Lane) -> None:
        self._tools = tools
        self._scope = lane.scope
        self._holder = derived_key(tools.worker, lane.key).hex
        self._leases: dict[UUID, Lease] = {}
        self._limits: tuple[ConnectionLimit, ...] = ()
        self._ask_at = 0.0

    def allowed(self, limits: tuple[ConnectionLimit, ...], *, wanted: int) -> int:
        """Return how many connections may be open now, at most ``wanted``.

        0 while none is free, and before a lease ends that could not be renewed.
        """
        if limits != self._limits:
            self._limits, self._ask_at = limits, 0.0
        now = self._tools.clock.monotonic()
        if limits and now >= self._ask_at:
            self._ask_at = now + _RENEW_AFTER_S
            try:
                self._ask(wanted)
            except StoreUnavailableError:
                self._ask_at = now + _ASK_AGAIN_S
        return self._allowed(wanted)

    def release(self) -> None:
        """Give everything back, after the connections are closed; it ends by itself otherwise."""
        try:
            with unit_of_work(self._tools.sessions) as session:
                for cap_id in sorted(self._leases):
                    connections.release(session, self._scope, cap_id, self._holder)
        except StoreUnavailableError:
            return
        finally:
            self._leases.clear()

    def _allowed(self, wanted: int) -> int:
        latest = self._tools.clock.monotonic() + _SPARE_S
        allowed = wanted
        for limit in self._limits:
            held = self._leases.get(limit.cap_id)
            if held is None or latest >= held.usable_until:
                return 0
            allowed = min(allowed, held.slots, self._target(limit, held, wanted))
        return allowed

    def _target(self, limit: ConnectionLimit, held: Lease, wanted: int) -> int:
        """Return how many to hold: the fair share, as soon as another holder has shown up."""
        return min(wanted, held.fair_share, limit.max_http_connections)

    def _ask(self, wanted: int) -> None:
        with unit_of_work(self._tools.sessions) as session:
            answers: dict[UUID, Lease] = {}
            for limit in self._limits:
                held = self._leases.get(limit.cap_id)
                given = self._ask_one(session, limit, held, wanted)
                if given is not None:
                    answers[limit.cap_id] = given
        self._leases = answers
        if self._is_unsettled(wanted):
            self._ask_at = self._tools.clock.monotonic() + _ASK_AGAIN_S

    def _ask_one(
        self, session: Session, limit: ConnectionLimit, held: Lease | None, wanted: int
    ) -> Lease | None:
        clock, holder = self._tools.clock, self._holder
        if held is None:
            return connections.lease(
                session, self._scope, limit, holder, wanted=wanted, ttl_s=TTL_S, clock=clock
            )
        target = self._target(limit, held, wanted)
        return connections.renew(
            session, self._scope, limit, holder, wanted=target, ttl_s=TTL_S, clock=clock
        )

    def _is_unsettled(self, wanted: int) -> bool:
        """Tell whether to ask again soon.

        A lease was lost, more or less is to be held, or this lane holds the whole limit and
        somebody else may be waiting for a share of it.
        """
        for limit in self._limits:
            held = self._leases.get(limit.cap_id)
            if held is None or held.slots != self._target(limit, held, wanted):
                return True
            if held.slots >= limit.max_http_connections:
                return True
        return False
