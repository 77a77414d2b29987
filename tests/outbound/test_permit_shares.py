"""What a lane knows of its competitors is what the grants say, however often it has looked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from service.core.ids import new_key
from service.db.base import Base
from service.outbound.capping import Cap, Tally
from service.outbound.fair_share import Claimant, Seen
from service.outbound.models import PermitGrant
from service.outbound.permit_shares import PermitShares
from service.sandboxes.scope import Scope
from tests.support.clocks import START

SCOPE = Scope(1, "prod")
PERIOD = timedelta(milliseconds=400)
CAP = Cap(UUID(int=1), 100, 400)
JOURNEYS = [Claimant(UUID(int=number), is_marketing=True) for number in range(3)]


@dataclass(frozen=True)
class Ask:
    """A grant ``after_ms`` the one before; a lane may look at that moment."""

    after_ms: int
    claimant: Claimant
    asked: int
    granted: int
    life_ms: int
    looks: bool


ASKS = st.lists(
    st.builds(
        Ask,
        st.integers(0, 300),
        st.sampled_from(JOURNEYS),
        st.integers(0, 9),
        st.integers(0, 9),
        st.integers(1, 80),
        st.booleans(),
    ),
    max_size=30,
)


def naive(asks: Sequence[Ask], moments: Sequence[datetime], now: datetime) -> dict[Claimant, Seen]:
    """Return what each asked for in the period that ends now or, shortly before, at its last."""
    seen = {}
    for claimant in JOURNEYS:
        mine = [
            (at, ask) for at, ask in zip(moments, asks, strict=False) if ask.claimant == claimant
        ]
        if not mine:
            continue
        end = max(mine[-1][0], now - PERIOD / 4)
        asked = sum(ask.asked for at, ask in mine if at > end - PERIOD)
        counted = [
            ask for at, ask in mine if at + PERIOD + timedelta(milliseconds=ask.life_ms) > now
        ]
        if counted or any(at > end - PERIOD for at, _ in mine):
            seen[claimant] = Seen(asked, sum(ask.granted for ask in counted))
    return seen


@given(asks=ASKS, pause_ms=st.integers(0, 300))
def test_looking_now_and_then_sees_what_looking_once_does(asks: list[Ask], pause_ms: int) -> None:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine, tables=[Base.metadata.tables["permit_grant"]])
    often, now, moments = PermitShares(), START, list[datetime]()
    with Session(engine) as session:
        for ask in asks:
            now += timedelta(milliseconds=ask.after_ms)
            moments.append(now)
            session.add(_grant(ask, now))
            session.flush()
            if ask.looks:
                often.read(session, SCOPE, CAP, _tally(now))
        now += timedelta(milliseconds=pause_ms)

        kept = often.read(session, SCOPE, CAP, _tally(now))
        fresh = PermitShares().read(session, SCOPE, CAP, _tally(now))

    assert kept == fresh == naive(asks, moments, now)


def _tally(now: datetime) -> Tally:
    return Tally(now, 0, None, None, None, has_shares=True)


def _grant(ask: Ask, now: datetime) -> PermitGrant:
    return PermitGrant(
        sandbox_id=1,
        id=new_key(),
        cap_id=CAP.id,
        granted_at=now,
        counted_until=now + PERIOD + timedelta(milliseconds=ask.life_ms),
        count=ask.granted,
        shares={ask.claimant.name: [ask.asked, ask.granted]},
    )
