"""What the service, the vendors and the people say at the end of the demo, read and shown."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from mobile_stub.demo_admin import CAP_CALLS, Admin, World
from mobile_stub.demo_checks import DeliveryFact, Explanation, Findings
from mobile_stub.demo_people import Player
from mobile_stub.demo_service import Backstage, DemoError, Vendors
from mobile_stub.demo_story import Story

_SEND_ROUTES = frozenset({"fcm", "push"})


def gather(
    admin: Admin, backstage: Backstage, world: World, vendors: Vendors, players: Sequence[Player]
) -> Findings:
    """Ask everybody.

    Raises:
        DemoError: Somebody does not answer.
    """
    persons = [each.person for each in players]
    ids = [each.crm_id for each in persons]
    ledger = admin.get("/ledger", journeyId=world.journey)
    books = ledger["journeys"]
    printed, trouble = _check_by_command(backstage)
    configs = admin.post("/journey/orchestration/list/endpointConfigs")["results"]
    names = {each["uid"]: each.get("name", "") for each in configs}
    return Findings(
        cap=(world.cap, CAP_CALLS),
        persons=persons,
        memories={each.person.crm_id: each.memory() for each in players},
        received=_received(vendors),
        deliveries=deliveries(admin, world, ids),
        explained={each: _explained(admin, world, each, names) for each in ids},
        people=_sum(each["people"] for each in books),
        messages=_sum(node["deliveries"] for each in books for node in each["nodes"]),
        ledger_check=printed,
        ledger_trouble=[*_differences(ledger), *trouble],
    )


def deliveries(
    admin: Admin, world: World, crm_ids: Collection[str]
) -> dict[str, tuple[DeliveryFact, ...]]:
    """Return what the service says of each person's messages; an unknown person is added.

    Raises:
        DemoError: The service does not answer.
    """
    found: dict[str, tuple[DeliveryFact, ...]] = dict.fromkeys(crm_ids, ())
    for item in admin.items("/deliveries", journeyId=world.journey, limit="200"):
        identity = item["identity"]
        crm_id = identity["id"] if identity else "nobody"
        fact = DeliveryFact(item["id"], item["state"], item["openedAt"] is not None)
        found[crm_id] = (*found.get(crm_id, ()), fact)
    return found


def show(found: Findings, story: Story) -> None:
    """Show the twenty with their outcomes, explain for each who got nothing, and the ledgers."""
    story.chapter("Who got what")
    story.table(
        "Twenty people",
        ("person", "phone", "vendor", "outcome", "shown", "opened"),
        list(_outcome_rows(found)),
    )
    story.table(
        "Why not? Explain says",
        ("person", "reason", "rate", "endpoint config"),
        [
            (each.first_name, *why.text, f"{why.cap_name}\n{why.cap or 'none is named'}".lstrip())
            for each in found.persons
            if not found.memories[each.crm_id].shown and (why := found.explained[each.crm_id])
        ],
    )
    story.chapter("edgepost ledger check")
    story.quote(found.ledger_check)


def _outcome_rows(found: Findings) -> Iterator[tuple[str, ...]]:
    for person in found.persons:
        memory = found.memories[person.crm_id]
        states = ", ".join(each.state for each in found.deliveries[person.crm_id])
        is_fcm = person.device.platform == "fcm"
        yield (
            f"{person.first_name} {person.last_name}",
            "Android" if is_fcm else "iPhone",
            "FCM" if is_fcm else "push API",
            states or "nothing",
            str(len(memory.shown) or "-"),
            str(len(memory.opened) or "-"),
        )


def _received(vendors: Vendors) -> list[dict[str, Any]]:
    return [row for row in vendors.get("/_received") if row["route"] in _SEND_ROUTES]


def _sum(amounts: Iterator[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in amounts:
        total.update(each)
    return dict(total)


def _differences(ledger: Mapping[str, Any]) -> Iterator[str]:
    if not ledger["journeys"]:
        yield "the ledger knows nothing of the journey"
    for journey in ledger["journeys"]:
        places = [("people", journey), *((node["nodeId"], node) for node in journey["nodes"])]
        for name, place in places:
            for each in place["differences"]:
                yield f"{name}: {each}"
    if not ledger["balanced"]:
        yield "the ledger does not balance"


def _check_by_command(backstage: Backstage) -> tuple[str, list[str]]:
    """Return what ``edgepost ledger check`` printed, and that it failed if it did."""
    try:
        return backstage.edgepost("ledger", "check"), []
    except DemoError as error:
        return "", [str(error)]


def _explained(
    admin: Admin, world: World, crm_id: str, config_names: Mapping[str, str]
) -> Explanation:
    """Return the cap gate of a person's way through the journey, as explain tells it."""
    path = f"/journeys/{world.journey}/explain"
    answer = admin.get(path, entityId=crm_id, entityIdNS="CRMID")
    for line in answer["lines"]:
        if (line["gate"], line["basis"], line["passed"]) == ("cap", "recorded", False):
            seen = line["seen"]
            rate = f"{seen['maxCallsCount']} in {seen['periodInMs']} ms"
            cap = seen["configId"]
            return Explanation(cap, (line["reason"], rate), config_names.get(cap, ""))
    return Explanation(None, ("-", "-"))
