"""The two ledgers: people and deliveries, and whether they agree with the rows."""

from typing import Any

from marshmallow import fields, post_load

from service.core.json import JsonObject
from service.flows.check_ledgers import SandboxLedger, Tally, VersionLedger
from service.ledger.entries import DeliveryEntry, PeopleEntry
from service.web.payloads.base import Payload

_BALANCED = {"description": "Whether ledger, step events and rows agree on every number."}


def _balanced() -> fields.Boolean:
    return fields.Boolean(required=True, data_key="balanced", metadata=_BALANCED)


class LedgerArgumentsSchema(Payload):
    """Which part of the ledger."""

    journey_id = fields.UUID(load_default=None, data_key="journeyId")
    journey_version_id = fields.UUID(load_default=None, data_key="journeyVersionId")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return what a version must be."""
        return {name: value for name, value in values.items() if value is not None}


class LedgerDifferenceSchema(Payload):
    """Two numbers that should be equal and are not."""

    entry = fields.String(required=True)
    one = fields.String(required=True, metadata={"description": "Who says the first number."})
    one_amount = fields.Integer(required=True, data_key="oneAmount")
    other = fields.String(required=True)
    other_amount = fields.Integer(required=True, data_key="otherAmount")


_PeopleSchema = Payload.from_dict(
    {each.value: fields.Integer(required=True) for each in PeopleEntry}, name="PeopleLedgerSchema"
)
_DeliveriesSchema = Payload.from_dict(
    {each.value: fields.Integer(required=True) for each in DeliveryEntry},
    name="DeliveryLedgerSchema",
)


class NodeLedgerSchema(Payload):
    """What one node intended to send: intended is the sum of the others."""

    node_id = fields.String(required=True, data_key="nodeId")
    is_balanced = _balanced()
    deliveries = fields.Nested(_DeliveriesSchema, required=True)
    differences = fields.List(fields.Nested(LedgerDifferenceSchema), required=True)


class VersionLedgerSchema(Payload):
    """One journey version: entered is the sum of the other people."""

    journey_version_id = fields.UUID(required=True, data_key="journeyVersionId")
    journey_id = fields.UUID(required=True, allow_none=True, data_key="journeyId")
    name = fields.String(required=True, allow_none=True)
    version = fields.Integer(required=True, allow_none=True)
    is_balanced = _balanced()
    people = fields.Nested(_PeopleSchema, required=True)
    differences = fields.List(fields.Nested(LedgerDifferenceSchema), required=True)
    nodes = fields.List(fields.Nested(NodeLedgerSchema), required=True)


class LedgerSchema(Payload):
    """Both ledgers at one moment, journeys by name and version."""

    is_balanced = _balanced()
    journeys = fields.List(fields.Nested(VersionLedgerSchema), required=True)


def ledger_answer(ledger: SandboxLedger, wanted: JsonObject) -> JsonObject:
    """Return what ``LedgerSchema`` dumps, of the versions whose answers match ``wanted``."""
    answers = [_version(each) for each in ledger.versions]
    chosen = [each for each in answers if wanted.items() <= each.items()]
    return {"is_balanced": all(each["is_balanced"] for each in chosen), "journeys": chosen}


def _version(ledger: VersionLedger) -> JsonObject:
    row = ledger.journey
    return {
        "journey_version_id": ledger.journey_version_id,
        "journey_id": row and row.journey_id,
        "name": row and row.name,
        "version": row and row.version,
        "is_balanced": ledger.is_balanced,
        "people": ledger.people.amounts,
        "differences": ledger.people.differences,
        "nodes": [_node(node_id, tally) for node_id, tally in ledger.nodes.items()],
    }


def _node(node_id: str, tally: Tally) -> JsonObject:
    return {
        "node_id": node_id,
        "is_balanced": tally.is_balanced,
        "deliveries": tally.amounts,
        "differences": tally.differences,
    }
