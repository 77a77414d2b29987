"""Ingest keeps what it is given, once, for the right person."""

import random
import statistics
from collections.abc import Sequence
from datetime import timedelta
from time import perf_counter
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.audit.models import AuditEntry
from service.db.session import SessionFactory, unit_of_work
from service.flows.ingest import ingest
from service.flows.open_sandbox import open_sandbox
from service.identity.identity_map import (
    AuthenticatedState,
    ClaimedIdentity,
    RefusedIdentity,
)
from service.identity.models import Identity, IdentityLink
from service.profiles import lookups, push_tokens
from service.profiles.incoming import IncomingRequest, Kept, Part, Refusal
from service.profiles.models import ExperienceEvent, Profile, PushToken, PushTokenOwner
from service.profiles.push_tokens import DeadToken, token_key
from service.sandboxes.scope import Scope
from tests.support.builders import PROD, ecid, event, person, record, request, source, token
from tests.support.clocks import START

NOW = START + timedelta(days=1)
INLET = source("inlet")


def keep(store: SessionFactory, *requests: IncomingRequest) -> list[Kept]:
    with unit_of_work(store) as session:
        return ingest(session, requests, now=NOW)


def owner_of(session: Session, text: str) -> Any:
    key = token_key("com.example.shop", "fcm", text)
    row = session.get(PushToken, (PROD.sandbox_id, key))
    assert row is not None
    return row.owner_id


def profile_of(session: Session, identity: ClaimedIdentity) -> Any:
    row = session.get(Identity, (PROD.sandbox_id, identity.key))
    assert row is not None
    return row.profile_id


def everything(session: Session) -> dict[str, list[tuple[Any, ...]]]:
    """Return the state that must not depend on order, without times of writing."""
    identities = session.scalars(select(Identity).where(Identity.sandbox_id == 1)).all()
    tokens = session.scalars(select(PushToken).where(PushToken.sandbox_id == 1)).all()
    events = session.scalars(select(ExperienceEvent).where(ExperienceEvent.sandbox_id == 1)).all()
    return {
        "identities": sorted(
            (each.id, each.graph_id, each.profile_id, each.parent_id, each.login_id, each.had_login)
            for each in identities
        ),
        "tokens": sorted((each.id, each.device_id, str(each.owner_id)) for each in tokens),
        "events": sorted((each.id, each.identity_id) for each in events),
    }


def test_an_event_is_stored_once_however_often_it_comes(store: SessionFactory) -> None:
    once = event(ecid(1), event_id="same")

    first = keep(store, request(once, once))
    again = keep(store, request(once), request(once))

    assert [(each.stored, each.duplicates) for each in first + again] == [(1, 1), (0, 1), (0, 1)]
    with store.opened() as session:
        assert len(everything(session)["events"]) == 1


def test_a_duplicate_has_no_effect_on_the_token(store: SessionFactory) -> None:
    announced = event(ecid(1), event_id="a", at=1, tokens=(token(ecid(1), "T"),))
    keep(store, request(announced))
    keep(store, request(event(ecid(2), at=2, tokens=(token(ecid(2), "T"),))))

    keep(store, request(announced))

    with store.opened() as session:
        assert owner_of(session, "T") == ecid(2).key


def test_a_login_takes_the_token_and_a_logout_detaches_it(store: SessionFactory) -> None:
    owners = []
    for step in (
        event(ecid(1), at=1, tokens=(token(ecid(1), "T"),)),
        event(ecid(1), person("ada"), at=2),
        event(ecid(1), person("bob"), at=3),
        event(ecid(1), at=4),
    ):
        keep(store, request(step))
        with store.opened() as session:
            owners.append(owner_of(session, "T"))

    assert owners == [ecid(1).key, person("ada").key, person("bob").key, None]


def test_a_datastream_may_keep_the_token_with_the_anonymous_device(store: SessionFactory) -> None:
    mild = source(logout_policy="keepAnonymous")
    announced = event(ecid(1), person("ada"), at=1, tokens=(token(ecid(1), "T"),))

    keep(store, request(announced, source_=mild), request(event(ecid(1), at=2), source_=mild))

    with store.opened() as session:
        assert owner_of(session, "T") == ecid(1).key


def test_every_owner_of_a_token_is_kept_with_its_cause(store: SessionFactory) -> None:
    keep(store, request(event(ecid(1), at=1, tokens=(token(ecid(1), "T"),))))
    keep(store, request(event(ecid(1), person("ada"), at=2)))

    with store.opened() as session:
        history = session.scalars(
            select(PushTokenOwner)
            .where(PushTokenOwner.sandbox_id == 1)
            .order_by(PushTokenOwner.id),
        ).all()
    assert [(each.identity_id, each.cause, each.end_cause) for each in history] == [
        (ecid(1).key, "announced", "login"),
        (person("ada").key, "login", None),
    ]


def test_a_newer_token_of_the_device_replaces_the_older(store: SessionFactory) -> None:
    keep(store, request(event(ecid(1), at=1, tokens=(token(ecid(1), "old"),))))

    keep(store, request(event(ecid(1), at=2, tokens=(token(ecid(1), "new"),))))

    with store.opened() as session:
        assert (owner_of(session, "old"), owner_of(session, "new")) == (None, ecid(1).key)


def test_an_ambiguous_person_never_takes_a_token(store: SessionFactory) -> None:
    guess = person("ada", AuthenticatedState.AMBIGUOUS)

    keep(store, request(event(ecid(1), guess, at=1, tokens=(token(ecid(1), "T"),))))

    with store.opened() as session:
        assert owner_of(session, "T") == ecid(1).key
        assert profile_of(session, ecid(1)) == guess.key


def test_whoever_claims_to_be_somebody_is_not_sent_their_messages(store: SessionFactory) -> None:
    guess = person("ada", AuthenticatedState.AMBIGUOUS)
    keep(store, request(event(ecid(1), person("ada"), at=1, tokens=(token(ecid(1), "hers"),))))
    keep(store, request(event(ecid(2), guess, at=2, tokens=(token(ecid(2), "stranger"),))))

    with store.opened() as session:
        ada = person("ada").key
        recipient = lookups.read_recipients(session, PROD, [ada])[ada]

    assert [each.token for each in recipient.tokens] == ["hers"]


def test_a_token_that_names_a_person_for_a_device_is_refused(store: SessionFactory) -> None:
    (kept,) = keep(store, request(event(ecid(1), tokens=(token(person("ada"), "T"),))))

    assert kept.refusals == (Refusal(Part.TOKEN, "fcm", "tokenNotOnDevice", 0),)


def test_a_token_is_in_no_repr() -> None:
    posted = request(event(ecid(1), tokens=(token(ecid(1), "SECRET"),)), body=b"SECRET")

    assert "SECRET" not in repr(posted)


@pytest.mark.parametrize(("platform", "wrong"), [("web", "fcm"), ("mobile", "web")])
def test_a_token_of_the_wrong_platform_is_refused_and_audited(
    store: SessionFactory,
    platform: str,
    wrong: str,
) -> None:
    posted = event(ecid(1), tokens=(token(ecid(1), "SECRET-TOKEN-123456", wrong),))

    (kept,) = keep(store, request(posted, source_=source(platform)))

    with store.opened() as session:
        audited = session.scalars(select(AuditEntry).where(AuditEntry.sandbox_id == 1)).one()
        assert not everything(session)["tokens"]
    assert kept.refusals == (Refusal(Part.TOKEN, wrong, "tokenPlatformNotOnDatastream", 0),)
    assert (kept.stored, audited.subject) == (1, "…123456")


def test_what_cannot_be_an_identity_is_told_and_audited_without_its_value(
    store: SessionFactory,
) -> None:
    refused = (
        RefusedIdentity("ECID", "4186-ada@shop.test", "ecidNot38Digits"),
        RefusedIdentity("CRMID", "undefined", "junkIdentity"),
    )
    posted = request(event(ecid(1), person("x", namespace="Loyalty"), refused=refused))

    (kept,) = keep(store, posted)
    (again,) = keep(store, posted)

    with store.opened() as session:
        audited = session.scalars(
            select(AuditEntry).where(AuditEntry.sandbox_id == 1).order_by(AuditEntry.id)
        ).all()
    seen = {"requestId": posted.request_id, "ecid": ecid(1).value}
    assert kept.refusals == again.refusals
    assert [(each.subject, each.reason, each.event) for each in kept.refusals] == [
        ("ECID", "ecidNot38Digits", 0),
        ("CRMID", "junkIdentity", 0),
        ("Loyalty", "unknownNamespace", 0),
    ]
    assert [each.facts for each in audited] == [
        {"namespace": "ECID", **seen, "characters": 18, "digits": 4},
        {"namespace": "CRMID", **seen, "value": "undefined"},
        {"namespace": "Loyalty", **seen},
    ]


def test_what_an_inlet_says_of_nobody_is_not_kept_and_told(store: SessionFactory) -> None:
    stranger = person("x", namespace="Loyalty")

    (kept,) = keep(
        store,
        request(
            event(person("ada")),
            event(stranger),
            records=(record(stranger, name="x"), record(person("ada"), name="Ada")),
            source_=INLET,
        ),
    )

    assert (kept.stored, kept.duplicates, kept.records) == (1, 0, 1)
    assert (kept.nameless_events, kept.nameless_records) == ((1,), (0,))
    with store.opened() as session:
        assert len(everything(session)["events"]) == 1


def test_a_vendor_verdict_spares_a_token_announced_after_the_call(store: SessionFactory) -> None:
    keep(store, request(event(ecid(1), at=1, tokens=(token(ecid(1), "T"),))))
    key = token_key("com.example.shop", "fcm", "T")
    verdicts = [
        DeadToken(key, "UNREGISTERED", NOW - timedelta(seconds=1)),
        DeadToken(key, "UNREGISTERED", NOW + timedelta(seconds=1)),
    ]

    marks = []
    for verdict in verdicts:
        with unit_of_work(store) as session:
            push_tokens.denylist(session, PROD, [verdict], now=NOW)
        with store.opened() as session:
            row = session.get(PushToken, (1, key))
            assert row is not None
            marks.append(row.denylist_reason)

    assert marks == [None, "UNREGISTERED"]


def test_records_merge_field_by_field_over_datasets_and_identities(store: SessionFactory) -> None:
    mail = person("a@x.test", namespace="Email")
    other = source("inlet", profile_dataset_id=ecid(9).key)
    for at, origin, told in (
        (1, INLET, record(person("ada"), mail, city="Bonn", tier="gold")),
        (2, other, record(mail, city="Köln", address={"zip": "50667"})),
        (3, INLET, record(person("ada"), tier=None, address={"street": "Ring 1"})),
    ):
        with unit_of_work(store) as session:
            ingest(session, [request(source_=origin, records=(told,))], now=START + timedelta(at))

    with store.opened() as session:
        view = lookups.find_profile(session, PROD, "Email", "a@x.test")
    assert view is not None
    assert view.profile.id == person("ada").key
    assert view.profile.attributes == {
        "city": "Köln",
        "address": {"zip": "50667", "street": "Ring 1"},
    }


def test_an_absorbed_profile_keeps_its_id_as_an_alias_and_comes_back(store: SessionFactory) -> None:
    keep(store, request(event(ecid(1), at=1)))
    keep(store, request(event(ecid(1), person("ada"), at=2)))
    with store.opened() as session:
        absorbed = session.get(Profile, (1, ecid(1).key))
        assert absorbed is not None
        assert absorbed.merged_into == person("ada").key

    keep(store, request(event(ecid(1), at=3)))

    with store.opened() as session:
        back = session.get(Profile, (1, ecid(1).key))
        assert back is not None
        assert back.merged_into is None


def test_sandboxes_in_one_batch_stay_apart(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        other = open_sandbox(session, name="dev", title="Dev", type_="development", now=START)
    mine = request(event(ecid(1), person("ada"), at=1, event_id="x"))
    theirs = request(event(ecid(1), at=2, event_id="x"), source_=source(scope=other))

    kept = keep(store, theirs, mine)

    assert [each.stored for each in kept] == [1, 1]
    with store.opened() as session:
        assert profile_of(session, ecid(1)) == person("ada").key
        assert lookups.find_profile(session, other, "CRMID", "ada") is None


STORY = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from([None, "ada", "bob"]),
        st.sampled_from([None, "T1", "T2"]),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=15, phases=(Phase.explicit, Phase.generate))
@given(story=STORY, chance=st.randoms(use_true_random=False))
def test_the_store_is_the_same_whatever_the_order_and_the_batches(
    tmp_path_factory: pytest.TempPathFactory,
    sqlite_template: Any,
    story: Sequence[tuple[int, str | None, str | None, int]],
    chance: random.Random,
) -> None:
    from service.db.engine import open_engine  # noqa: PLC0415 - two stores per example

    requests = [
        request(
            event(
                ecid(device),
                *([person(name)] if name else []),
                at=at,
                event_id=str(index),
                tokens=(token(ecid(device), text),) if text else (),
            ),
        )
        for index, (device, name, text, at) in enumerate(story)
    ]
    shuffled = list(requests)
    chance.shuffle(shuffled)
    states = []
    for name, order, size in (("one", requests, 1), ("two", shuffled, 3)):
        path = tmp_path_factory.mktemp(name) / "edgepost.db"
        path.write_bytes(sqlite_template.read_bytes())
        each = SessionFactory(open_engine(f"sqlite:///{path}"))
        for start in range(0, len(order), size):
            keep(each, *order[start : start + size])
        with each.opened() as session:
            states.append(everything(session))
        each.engine.dispose()

    assert states[0] == states[1]


def test_the_ten_thousandth_login_on_a_device_costs_what_the_tenth_costs(
    postgres_store: SessionFactory,
) -> None:
    def login_ms(number: int) -> float:
        posted = request(event(ecid(1), person(f"p{number}"), at=number))
        began = perf_counter()
        keep(postgres_store, posted)
        return (perf_counter() - began) * 1000

    early = statistics.median(login_ms(number) for number in range(31))
    with unit_of_work(postgres_store) as session:
        session.add_all(
            IdentityLink(
                sandbox_id=1,
                child_id=ecid(1).key,
                parent_id=person(f"q{number}").key,
                strength="login",
                state="superseded",
                source_id=source().id,
                first_seen_at=START,
                last_seen_at=START,
                last_event="e",
            )
            for number in range(10_000)
        )
    late = statistics.median(login_ms(number) for number in range(100, 131))

    assert late <= 2 * early


def test_the_statements_of_a_batch_do_not_grow_with_it(
    sqlite_store: SessionFactory,
    scope: Scope,
) -> None:
    from sqlalchemy import event as hooks  # noqa: PLC0415 - counts what reaches the driver

    seen: list[str] = []
    hooks.listen(
        sqlite_store.engine,
        "before_cursor_execute",
        lambda *arguments: seen.append(arguments[2]),
    )

    def statements_of(count: int, first: int) -> list[str]:
        seen.clear()
        batch = [
            request(
                event(
                    ecid(number), person(f"p{number}"), tokens=(token(ecid(number), f"t{number}"),)
                )
            )
            for number in range(first, first + count)
        ]
        keep(sqlite_store, *batch)
        return list(seen)

    assert statements_of(1, 1) == statements_of(40, 100)
    assert scope == PROD


def test_an_advertising_id_beside_the_ecid_does_not_take_its_login(store: SessionFactory) -> None:
    advertising = ClaimedIdentity("GAID", "38400000-8cf0-11bd-b23e-10b96e40000d")
    login = event(advertising, ecid(1), person("C-1"), tokens=(token(ecid(1), "T"),))

    keep(store, request(login))

    with store.opened() as session:
        assert owner_of(session, "T") == person("C-1").key
        assert profile_of(session, advertising) == profile_of(session, person("C-1"))


def test_an_unproved_address_beside_a_login_links_nobody(store: SessionFactory) -> None:
    stranger = person("ada@shop.test", AuthenticatedState.AMBIGUOUS, "Email")
    keep(store, request(event(ecid(1), person("ada@shop.test", namespace="Email"), at=1)))

    keep(store, request(event(ecid(2), person("C-2"), stranger, at=2)))

    with store.opened() as session:
        assert profile_of(session, stranger) != profile_of(session, person("C-2"))
