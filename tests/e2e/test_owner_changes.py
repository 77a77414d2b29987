"""Whoever logs in between the claim of a message and its sending never gets another's."""

import json
from functools import partial
from threading import Event
from time import monotonic
from uuid import UUID

import psycopg
import pytest

from mobile_stub import sdk
from mobile_stub.device import Kind
from service.identity.identity_map import identity_key
from tests.e2e import campaigns, worlds
from tests.e2e.campaigns import Vendor, person_of, sent_on
from tests.e2e.door import closed_door
from tests.e2e.fleet import phones_at
from tests.e2e.patience import eventually
from tests.support.deployments import Deployment

pytestmark = [pytest.mark.e2e, pytest.mark.faults]
PHONES = 8
GATES_HOLD_S = 2
CLAIMED = "SELECT count(*) FROM delivery_attempt"


def test_a_message_goes_to_who_holds_the_phone_when_it_leaves_and_to_nobody_else(
    deployment: Deployment, database: str, seed: int
) -> None:
    web = deployment.start_web(WEB_CONCURRENCY="1")
    world = worlds.prepare(deployment, web)
    with campaigns.playing_vendor() as vendor, closed_door(vendor.url) as door:
        campaigns.open_campaign(world, campaigns.fcm_action(vendor, door.url))
        phones = phones_at([world.edge(web)], PHONES, seed, kinds=[Kind.ANDROID])
        campaigns.fill_carts(phones)
        people = [person_of(phone) for phone in phones]
        deployment.start("worker")
        eventually(lambda: count(database, CLAIMED) == PHONES, within_s=15, what="all are claimed")
        claimed_at = monotonic()

        # The first two swap their phones, two go to strangers, two log out, two stay.
        changes = [people[1], people[0], "C-stranger-1", "C-stranger-2", None, None]
        for phone, person in zip(phones, changes, strict=False):
            if person is None:
                phone.change(sdk.logout)
            else:
                phone.change(partial(sdk.switch_login, person_id=person))
            sent_on(phone, "application.launch")
        Event().wait(max(0, claimed_at + GATES_HOLD_S - monotonic()))
        door.open()
        states = campaigns.ended_deliveries(database, PHONES)
        got = messages(vendor, database)

    holders = [people[1], people[0], None, None, None, None, people[6], people[7]]
    assert got == sorted(
        (str(phone.device.token), identity_key("CRMID", person))
        for phone, person in zip(phones, holders, strict=True)
        if person is not None
    )
    assert states == {"sent": 4, "suppressed": 4}
    deployment.run("ledger", "check")


def count(database: str, statement: str) -> int:
    """Return the number that a statement counts."""
    with psycopg.connect(database) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return int(row[0]) if row else 0


def messages(vendor: Vendor, database: str) -> list[tuple[str, UUID]]:
    """Return the token and the person of each message that the vendor got."""
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT id, identity_id FROM delivery").fetchall()
    people: dict[UUID, UUID] = dict(rows)
    return sorted((row["address"], people[_delivery_of(row["body"])]) for row in vendor.received())


def _delivery_of(body: dict[str, dict[str, dict[str, str]]]) -> UUID:
    xdm = json.loads(body["message"]["data"]["_xdm"])
    journey = xdm["cjm"]["_experience"]["customerJourneyManagement"]
    return UUID(journey["messageExecution"]["messageID"])
