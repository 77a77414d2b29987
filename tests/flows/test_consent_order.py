"""What is said of consent counts by when it was said, and takes no more room than it needs."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from service.audit.models import AuditEntry
from service.core.json import encode
from service.db.session import SessionFactory, unit_of_work
from service.flows.ingest import ingest
from service.identity.consents import Said, newest
from service.identity.identity_map import ClaimedIdentity
from service.identity.models import Identity
from service.profiles import lookups
from service.profiles.incoming import IncomingConsent, IncomingRequest, Kept
from service.profiles.models import ExperienceEvent, ProfileFragment
from tests.support.builders import PROD, consent, ecid, event, person, request, source
from tests.support.clocks import START

NOW = START + timedelta(days=1)
DEVICE = ecid(1)
STRANGE = ClaimedIdentity("Loyalty", "L-1")
YES, NO = {"push": {"val": "y"}}, {"push": {"val": "n"}}


def keep(store: SessionFactory, *requests: IncomingRequest, after_s: float = 0) -> list[Kept]:
    with unit_of_work(store) as session:
        return ingest(session, requests, now=NOW + timedelta(seconds=after_s))


def say(store: SessionFactory, said: IncomingConsent, *, after_s: float = 0) -> Kept:
    (kept,) = keep(store, request(consents=(said,)), after_s=after_s)
    return kept


def consents_of(store: SessionFactory, who: ClaimedIdentity = DEVICE) -> Any:
    with store.opened() as session:
        found = lookups.find_profile(session, PROD, who.namespace, who.value)
        assert found is not None
        return found.profile.attributes.get("consents")


def stored_bytes(store: SessionFactory) -> int:
    """Return how much all versions of what was said take."""
    with store.opened() as session:
        rows = session.scalars(select(ProfileFragment).where(ProfileFragment.sandbox_id == 1))
        return sum(len(encode(each.attributes)) + len(encode(each.stamps)) for each in rows)


@pytest.mark.parametrize("replaces", [False, True])
def test_an_older_opt_in_that_arrives_late_does_not_undo_an_opt_out(
    store: SessionFactory, *, replaces: bool
) -> None:
    say(store, consent(DEVICE, at=9, replaces=replaces, marketing=NO))

    say(store, consent(DEVICE, at=3, replaces=replaces, marketing=YES), after_s=1)

    assert consents_of(store) == {"marketing": NO}


def test_what_a_replacement_forgot_stays_forgotten_when_it_arrives_late(
    store: SessionFactory,
) -> None:
    say(store, consent(DEVICE, at=9, replaces=True, share={"val": "n"}))

    say(store, consent(DEVICE, at=3, marketing=YES), after_s=1)

    assert consents_of(store) == {"share": {"val": "n"}}


def test_a_replacement_that_arrives_late_removes_only_what_is_older(
    store: SessionFactory,
) -> None:
    say(store, consent(DEVICE, at=1, share={"val": "y"}))
    say(store, consent(DEVICE, at=9, marketing=NO), after_s=1)

    say(store, consent(DEVICE, at=5, replaces=True, adID={"val": "n"}), after_s=2)

    assert consents_of(store) == {"adID": {"val": "n"}, "marketing": NO}


def test_a_consent_that_claims_to_be_of_tomorrow_counts_as_of_its_receipt(
    store: SessionFactory,
) -> None:
    say(store, consent(DEVICE, at=3 * 86400, marketing=YES))

    later = request(
        consents=(consent(DEVICE, at=2 * 86400, marketing=NO),),
        received_at=START + timedelta(days=3),
    )
    keep(store, later, after_s=2 * 86400)

    assert consents_of(store) == {"marketing": NO}


WORDS = st.fixed_dictionaries(
    {},
    optional={
        "share": st.sampled_from(["y", "n"]).map(lambda val: {"val": val}),
        "adID": st.sampled_from(["y", "n"]).map(lambda val: {"val": val}),
        "marketing": st.dictionaries(
            st.sampled_from(["push", "email", "any"]),
            st.sampled_from(["y", "n"]).map(lambda val: {"val": val}),
            min_size=1,
        ),
    },
)
STORIES = st.lists(st.tuples(WORDS, st.booleans()), min_size=1, max_size=5)


@settings(max_examples=25, phases=(Phase.explicit, Phase.generate))
@given(story=STORIES, chance=st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(
    store: SessionFactory,
    story: Sequence[tuple[dict[str, Any], bool]],
    chance: random.Random,
) -> None:
    said = [
        consent(DEVICE, at=at, replaces=replaces, **words)
        for at, (words, replaces) in enumerate(story)
    ]
    results = []
    for order in (said, chance.sample(said, len(said))):
        with unit_of_work(store) as session:
            session.execute(delete(ProfileFragment).where(ProfileFragment.sandbox_id == 1))
        for each in order:
            say(store, each)
        results.append(consents_of(store))

    assert results[0] == results[1]


def test_of_equal_moments_the_batch_is_judged_by_what_it_brings(store: SessionFactory) -> None:
    say(store, consent(DEVICE, collect="in"))

    said = request(consents=(consent(DEVICE, collect="out"),))
    _, kept = keep(store, said, request(event(DEVICE, at=1)))

    assert kept.without_consent == (0,)
    with store.opened() as session:
        assert session.get_one(Identity, (1, DEVICE.key)).consent == "out"


def test_the_last_of_equal_words_counts() -> None:
    assert newest([Said("in", START), None, Said("out", START)], "pending") == "out"
    assert newest([None], "pending") == "pending"


def test_the_hundredth_update_stores_little_more_than_the_first(store: SessionFactory) -> None:
    costs = []
    for number in range(100):
        more: dict[str, Any] = {f"u{number}-{each}": {"val": "x" * 100} for each in range(64)}
        before = stored_bytes(store)
        say(store, consent(DEVICE, at=number, **more), after_s=number)
        costs.append(stored_bytes(store) - before)

    assert max(costs) <= 2.1 * costs[0]
    with store.opened() as session:
        refused = session.scalars(
            select(AuditEntry.reason).where(
                AuditEntry.sandbox_id == 1, AuditEntry.action == "consent.refuse"
            )
        ).all()
    assert len(refused) >= 98
    assert set(refused) == {"consentTooLarge"}


def test_a_device_that_said_too_much_can_still_take_back_and_start_anew(
    store: SessionFactory,
) -> None:
    filling: dict[str, Any] = {f"u{each}": {"val": "x" * 200} for each in range(75)}
    say(store, consent(DEVICE, at=1, marketing=YES, **filling))

    say(store, consent(DEVICE, at=2, marketing=NO), after_s=1)
    taken_back = consents_of(store)["marketing"]
    say(store, consent(DEVICE, at=3, replaces=True, share={"val": "n"}), after_s=2)

    assert taken_back == NO
    assert consents_of(store) == {"share": {"val": "n"}}


def test_a_consent_in_a_namespace_that_is_unknown_is_nobodys_and_leaves_nothing(
    store: SessionFactory,
) -> None:
    kept = say(store, consent(STRANGE, collect="out"))

    assert kept.nameless_consents == (0,)
    with store.opened() as session:
        count = select(func.count()).select_from(AuditEntry).where(AuditEntry.sandbox_id == 1)
        assert session.scalar(count) == 0


def test_who_cannot_be_known_does_not_speak_for_an_event(store: SessionFactory) -> None:
    said = request(consents=(consent(STRANGE, person("C-1"), collect="out"),))

    _, kept = keep(store, said, request(event(STRANGE, at=1)))

    assert kept.stored == 1
    assert [each.reason for each in kept.refusals] == ["unknownNamespace"]


def test_events_of_one_id_that_are_not_kept_are_all_told_so(store: SessionFactory) -> None:
    waiting = source(default_consent="pending")
    same = event(DEVICE, event_id="same")

    first, second = keep(
        store, request(same, same, source_=waiting), request(same, source_=waiting)
    )

    assert (first.without_consent, second.without_consent) == ((0, 1), (0,))
    assert (first.duplicates, second.duplicates) == (0, 0)
    with store.opened() as session:
        events = select(ExperienceEvent.id).where(ExperienceEvent.sandbox_id == 1)
        assert session.scalars(events).all() == []
