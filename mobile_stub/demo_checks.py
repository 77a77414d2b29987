"""What must be so at the end of the demo, held against what phones and vendors themselves recorded.

Everything here is pure: ``check`` compares three independent memories, of the service, of the
vendors, and of the people.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mobile_stub.demo_people import Memory
from mobile_stub.scenarios import Person

SENT, CAPPED = "sent", "capped"


@dataclass(frozen=True, slots=True)
class DeliveryFact:
    """One delivery as the service tells it."""

    id: str
    state: str
    is_opened: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a person got no message.

    Attributes:
        cap: The id of the endpoint config that explain names, if it names one.
        text: The reason of the gate that stayed shut, and the rate it saw.
        cap_name: What people call that config.
    """

    cap: str | None
    text: tuple[str, str]
    cap_name: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was found, by customer id where it is of a person.

    Attributes:
        cap: The id of the deployed cap, and how many calls it lets through.
        memories: What the people remember.
        received: What the vendors got on their send routes, as the gateway lists it.
        deliveries: What the service says of each person's messages.
        explained: What explain says of each person in the journey.
        people: The people's ledger of the journey, entry by entry.
        messages: The deliveries' ledger over all nodes, entry by entry.
        ledger_check: What ``edgepost ledger check`` printed.
        ledger_trouble: What that command or the API found wrong.
    """

    cap: tuple[str, int]
    persons: Sequence[Person]
    memories: Mapping[str, Memory]
    received: Sequence[Mapping[str, Any]]
    deliveries: Mapping[str, Sequence[DeliveryFact]]
    explained: Mapping[str, Explanation]
    people: Mapping[str, int]
    messages: Mapping[str, int]
    ledger_check: str
    ledger_trouble: Sequence[str]


@dataclass(frozen=True, slots=True)
class Check:
    """One claim and everything that speaks against it."""

    claim: str
    deviations: tuple[str, ...]


def check(found: Findings) -> tuple[Check, ...]:
    """Hold every claim against the findings."""
    limit, people = found.cap[1], len(found.persons)
    claims: tuple[tuple[str, Callable[[Findings], Iterator[str]]], ...] = (
        ("every event of every phone was acknowledged", _unsent),
        (f"exactly {limit} messages arrived, by the vendors' own count", _arrivals),
        ("each of them is on its own person's phone and nowhere else", _wrong_phones),
        (f"the service says the same: {limit} sent, {people - limit} capped", _outcomes),
        (f"exactly these {limit} were opened, and exactly these opens are stored", _opens),
        (f"explain names the cap for each of the {people - limit} others", _explanations),
        (f"both ledgers balance: {people} entered, {people} intended", _ledgers),
    )
    return tuple(Check(claim, tuple(deviations(found))) for claim, deviations in claims)


def customer_of(message: Mapping[str, Any]) -> str | None:
    """Return whom a message says it is for: FCM carries it in ``data``, the push API beside."""
    inner = message.get("message", message)
    customer = inner.get("data", inner).get("customer")
    return customer if isinstance(customer, str) else None


def _unsent(found: Findings) -> Iterator[str]:
    for person in found.persons:
        unsent = found.memories[person.crm_id].unsent
        if unsent:
            yield f"{person.first_name}: {unsent} events were never acknowledged"


def _arrivals(found: Findings) -> Iterator[str]:
    accepted = [row for row in found.received if row["accepted"]]
    if len(accepted) != found.cap[1]:
        yield f"{len(accepted)} messages arrived"
    for row in found.received:
        if not row["accepted"]:
            yield f"a call to {row['route']} was answered {row['status']}"
    for address, count in Counter(row["address"] for row in accepted).items():
        if count > 1:
            yield f"one phone got {count} messages: …{str(address)[-6:]}"


def _wrong_phones(found: Findings) -> Iterator[str]:
    owners = {person.token: person for person in found.persons}
    arrived: dict[str, list[str]] = {person.crm_id: [] for person in found.persons}
    for row in found.received:
        owner = owners.get(str(row["address"]))
        customer = customer_of(row["body"]) if isinstance(row["body"], Mapping) else None
        if owner is None:
            yield f"a message for {customer} went to a token nobody has"
            continue
        if customer != owner.crm_id:
            yield f"a message for {customer} went to {owner.first_name} ({owner.crm_id})"
        if row["accepted"]:
            arrived[owner.crm_id].append(row["id"])
    for person in found.persons:
        shown = [item["id"] for item in found.memories[person.crm_id].shown]
        if shown != arrived[person.crm_id]:
            yield (
                f"{person.first_name}'s phone showed {len(shown)} messages, "
                f"the vendor took {len(arrived[person.crm_id])} for it"
            )


def _outcomes(found: Findings) -> Iterator[str]:
    reached = _reached(found)
    for person in found.persons:
        states = [each.state for each in found.deliveries[person.crm_id]]
        expected = [SENT if person.crm_id in reached else CAPPED]
        if states != expected:
            said = ", ".join(states) or "nothing"
            yield f"{person.first_name}: {said} instead of {expected[0]}"


def _opens(found: Findings) -> Iterator[str]:
    for person in found.persons:
        memory = found.memories[person.crm_id]
        shown = [item["id"] for item in memory.shown]
        if [each.vendor_id for each in memory.opened] != shown:
            yield f"{person.first_name} opened {len(memory.opened)} of {len(shown)} messages"
        for each in memory.opened:
            if not each.is_acknowledged:
                yield f"{person.first_name}'s open was not acknowledged"
        reported = sorted(str(each.delivery_id) for each in memory.opened)
        stored = sorted(each.id for each in found.deliveries[person.crm_id] if each.is_opened)
        if reported != stored:
            yield f"{person.first_name}: reported opens {reported}, stored opens {stored}"


def _explanations(found: Findings) -> Iterator[str]:
    reached = _reached(found)
    for person in found.persons:
        named = found.explained[person.crm_id].cap
        expected = None if person.crm_id in reached else found.cap[0]
        if named != expected:
            yield f"{person.first_name}: explain names {named or 'no cap'}, not {expected}"


def _ledgers(found: Findings) -> Iterator[str]:
    people, limit = len(found.persons), found.cap[1]
    yield from found.ledger_trouble
    yield from _differences("people", found.people, {"entered": people, "finished": people})
    yield from _differences(
        "deliveries", found.messages, {"intended": people, SENT: limit, CAPPED: people - limit}
    )


def _differences(book: str, said: Mapping[str, int], expected: Mapping[str, int]) -> Iterator[str]:
    for entry in sorted(said.keys() | expected.keys()):
        if said.get(entry, 0) != expected.get(entry, 0):
            yield f"{book} {entry}: {said.get(entry, 0)} instead of {expected.get(entry, 0)}"


def _reached(found: Findings) -> set[str]:
    """Return whom the vendors have taken a message for, by the phone it went to."""
    taken = {row["address"] for row in found.received if row["accepted"]}
    return {person.crm_id for person in found.persons if person.token in taken}
