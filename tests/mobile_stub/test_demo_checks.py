"""The demo passes only when service, vendors and people tell the same story."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mobile_stub.demo_checks import Check, DeliveryFact, Explanation, Findings, check
from mobile_stub.demo_people import Memory, Opened
from mobile_stub.scenarios import Person, twenty_people

CAP = "cap-1"
PEOPLE = twenty_people(7)
REACHED, MISSED = PEOPLE[:12], PEOPLE[12:]
NO_TEXT = ("", "")
ADA, BRUNO, LAST = PEOPLE[0], PEOPLE[1], PEOPLE[-1]


def row_for(person: Person, **changes: Any) -> dict[str, Any]:
    """Return what a vendor lists of one message."""
    data = {"customer": person.crm_id}
    body: dict[str, Any]
    if person.device.platform == "fcm":
        route, body = "fcm", {"message": {"token": person.token, "data": data}}
    else:
        route, body = "push", {"to": person.token, **data}
    row = {"route": route, "address": person.token, "body": body, "status": 200}
    return row | {"accepted": True, "id": f"m-{person.crm_id}"} | changes


def memory_of(person: Person) -> Memory:
    """Return what a person remembers who has opened one message."""
    opened = Opened(f"m-{person.crm_id}", f"d-{person.crm_id}", is_acknowledged=True)
    return Memory(({"id": f"m-{person.crm_id}"},), (opened,), 0)


def fact(state: str, key: str = "d") -> DeliveryFact:
    """Return a delivery that was not opened."""
    return DeliveryFact(key, state, is_opened=False)


def sent_and_opened(key: str) -> DeliveryFact:
    """Return a delivery as it should end."""
    return DeliveryFact(key, "sent", is_opened=True)


def as_it_should_be() -> Findings:
    """Return the findings of a demo in which all went well."""
    sent = {each.crm_id: (sent_and_opened(f"d-{each.crm_id}"),) for each in REACHED}
    capped = {each.crm_id: (fact("capped", f"d-{each.crm_id}"),) for each in MISSED}
    return Findings(
        cap=(CAP, 12),
        persons=PEOPLE,
        memories={each.crm_id: memory_of(each) for each in REACHED}
        | {each.crm_id: Memory((), (), 0) for each in MISSED},
        received=[row_for(each) for each in REACHED],
        deliveries=sent | capped,
        explained={each.crm_id: Explanation(None, NO_TEXT) for each in REACHED}
        | {each.crm_id: Explanation(CAP, NO_TEXT) for each in MISSED},
        people={"entered": 20, "inside": 0, "finished": 20},
        messages={"intended": 20, "sent": 12, "capped": 8, "failed": 0},
        ledger_check="balanced",
        ledger_trouble=[],
    )


def failed_claims(found: Findings) -> list[str]:
    """Return the claims that something speaks against."""
    return [each.claim for each in check(found) if each.deviations]


def test_a_demo_in_which_all_went_well_has_no_deviations() -> None:
    assert [each for each in check(as_it_should_be()) if each.deviations] == []


def more_received(found: Findings, **changes: Any) -> Findings:
    """Return findings with one more call to the last person's vendor."""
    return replace(found, received=[*found.received, row_for(LAST, **changes)])


def remembering(found: Findings, person: Person, **changes: Any) -> Findings:
    """Return findings in which one person remembers something else."""
    memory = replace(found.memories[person.crm_id], **changes)
    return replace(found, memories={**found.memories, person.crm_id: memory})


def delivered(found: Findings, person: Person, *facts: DeliveryFact) -> Findings:
    """Return findings in which the service says something else of one person."""
    return replace(found, deliveries={**found.deliveries, person.crm_id: facts})


def explaining(found: Findings, person: Person, cap: str | None) -> Findings:
    """Return findings in which explain names another cap for one person."""
    explained = {**found.explained, person.crm_id: Explanation(cap, NO_TEXT)}
    return replace(found, explained=explained)


def test_a_thirteenth_message_is_found() -> None:
    claims = failed_claims(more_received(as_it_should_be()))

    assert "exactly 12 messages arrived, by the vendors' own count" in claims


def test_a_call_that_a_vendor_refused_is_found() -> None:
    refused = more_received(as_it_should_be(), accepted=False, status=401, id=None)

    assert failed_claims(refused) == ["exactly 12 messages arrived, by the vendors' own count"]


def test_a_message_on_another_persons_phone_is_found() -> None:
    found = as_it_should_be()
    crossed = [row_for(ADA, body={"to": ADA.token, "customer": BRUNO.crm_id})]

    claims = failed_claims(replace(found, received=[*crossed, *found.received[1:]]))

    assert claims == ["each of them is on its own person's phone and nowhere else"]


def test_two_messages_on_one_phone_are_found() -> None:
    found = as_it_should_be()
    twice = [row_for(ADA), *found.received[:1], *found.received[2:]]

    claims = failed_claims(replace(found, received=twice))

    assert "exactly 12 messages arrived, by the vendors' own count" in claims


SPOILS: dict[str, tuple[Callable[[Findings], Findings], str]] = {
    "a hit stayed in a phone": (
        lambda found: remembering(found, LAST, unsent=1),
        "every event of every phone was acknowledged",
    ),
    "a message was never shown": (
        lambda found: remembering(found, ADA, shown=(), opened=()),
        "each of them is on its own person's phone and nowhere else",
    ),
    "the service forgot that it sent": (
        lambda found: delivered(found, ADA, fact("unknown")),
        "the service says the same: 12 sent, 8 capped",
    ),
    "the service made two deliveries": (
        lambda found: delivered(found, LAST, fact("capped"), fact("capped")),
        "the service says the same: 12 sent, 8 capped",
    ),
    "an open was not acknowledged": (
        lambda found: remembering(
            found, ADA, opened=(replace(memory_of(ADA).opened[0], is_acknowledged=False),)
        ),
        "exactly these 12 were opened, and exactly these opens are stored",
    ),
    "an open was not stored": (
        lambda found: delivered(found, ADA, fact("sent", f"d-{ADA.crm_id}")),
        "exactly these 12 were opened, and exactly these opens are stored",
    ),
    "an open was stored for another message": (
        lambda found: delivered(found, ADA, sent_and_opened("other")),
        "exactly these 12 were opened, and exactly these opens are stored",
    ),
    "an open was stored that nobody reported": (
        lambda found: delivered(found, LAST, replace(fact("capped"), is_opened=True)),
        "exactly these 12 were opened, and exactly these opens are stored",
    ),
    "explain is silent": (
        lambda found: explaining(found, LAST, None),
        "explain names the cap for each of the 8 others",
    ),
    "explain names another cap": (
        lambda found: explaining(found, LAST, "cap-2"),
        "explain names the cap for each of the 8 others",
    ),
    "explain names the cap for somebody who was reached": (
        lambda found: explaining(found, ADA, CAP),
        "explain names the cap for each of the 8 others",
    ),
    "somebody is still inside": (
        lambda found: replace(found, people={"entered": 20, "inside": 1, "finished": 19}),
        "both ledgers balance: 20 entered, 20 intended",
    ),
    "a delivery failed": (
        lambda found: replace(found, messages={**found.messages, "failed": 1, "capped": 7}),
        "both ledgers balance: 20 entered, 20 intended",
    ),
    "the ledger does not agree with the rows": (
        lambda found: replace(found, ledger_trouble=["sent: ledger 12, rows 11"]),
        "both ledgers balance: 20 entered, 20 intended",
    ),
}


@pytest.mark.parametrize("spoilt", SPOILS)
def test_whatever_differs_is_found_and_named(spoilt: str) -> None:
    spoil, claim = SPOILS[spoilt]

    failed: list[Check] = [each for each in check(spoil(as_it_should_be())) if each.deviations]

    assert claim in [each.claim for each in failed]
    assert all(text for each in failed for text in each.deviations)
