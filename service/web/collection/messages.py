"""One streamed message: from its bytes to an event or a record, or to the reason it is refused.

Pure. Whatever cannot be kept is refused here with a message, also what Experience Platform
accepts and then drops in silence: what is too large, and what names nobody.

Source: Experience Platform, Streaming Ingestion API; "Streaming ingestion validation";
guardrails for Real-Time Customer Profile (10 KB per event, 100 KB per record).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import Raw, Struct
from msgspec.json import Decoder

from service.core.ids import minted_event_id
from service.core.json import JsonObject
from service.flows.sources import InletSource
from service.profiles.incoming import IncomingEvent, IncomingRecord
from service.web.body import BodyError, check_text, decode, wrong_field
from service.web.xdm import claims_of, event_id_of, event_type_of, moment_of
from service.web.xdm_consents import check_consents

MAX_EVENT_BYTES = 10 * 1024
MAX_RECORD_BYTES = 100 * 1024
UNKNOWN_FORMAT = "Message has unknown xdm format"
WRONG_ORG = "Message has an absent or wrong ims org in the header"
INVALID = "Message is invalid"
NO_IDENTITY = "Message names no usable identity"
_EVENT_CLASS = "experienceevent"


class SchemaRef(Struct):
    """The schema that a message claims to follow."""

    id: str


class Header(Struct, rename="camel"):
    """``header`` of a message. The inlet decides organisation and datasets."""

    schema_ref: SchemaRef
    ims_org_id: str | None = None


class XdmMeta(Struct, rename="camel"):
    """``body.xdmMeta``."""

    schema_ref: SchemaRef


class Content(Struct, rename="camel"):
    """``body`` of a message."""

    xdm_meta: XdmMeta
    xdm_entity: Raw


class Message(Struct):
    """One message: an envelope around one XDM entity."""

    header: Header
    body: Content


class Batch(Struct):
    """Messages that travel together and are kept or refused one by one."""

    messages: list[Raw]


BATCHES = Decoder(Batch)
_MESSAGES = Decoder(Message)
_ENTITIES = Decoder(dict[str, Any])

Fact = IncomingEvent | IncomingRecord


class MessageError(Exception):
    """A message that is refused.

    Attributes:
        reason: What is wrong, in the words of Experience Platform where it has some.
        violations: Where the entity fails validation, as ``_streamingValidation`` lists it.
    """

    def __init__(self, reason: str, violations: tuple[JsonObject, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.violations = violations


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a message without ``_id`` or ``timestamp`` is given: place and moment of arrival."""

    request_id: str
    index: int
    at: datetime


def read_message(raw: bytes, source: InletSource, arrival: Arrival) -> Fact:
    """Return the event or record of a message.

    It is an event when its schema is of the ExperienceEvent class, or when it has both ``_id``
    and ``timestamp``. A record's identities leave its attributes.

    Raises:
        MessageError: It cannot be kept; other messages are not concerned.
    """
    try:
        message = decode(raw, _MESSAGES)
    except BodyError as error:
        raise MessageError(UNKNOWN_FORMAT, (_violation(error),)) from error
    _check_envelope(message, source)
    try:
        check_text(raw)
        return _fact(message, source, arrival)
    except BodyError as error:
        raise MessageError(INVALID, (_violation(error),)) from error


def names_nobody(why: Iterable[str] = ()) -> MessageError:
    """Return the error for a message of which no identity can be used, for these reasons."""
    told = ", ".join(dict.fromkeys(why)) or 'expected {"NAMESPACE": [{"id": "…"}]}'
    return MessageError(NO_IDENTITY, (_violation(wrong_field("$.identityMap", told)),))


def _check_envelope(message: Message, source: InletSource) -> None:
    org_id = message.header.ims_org_id
    if org_id is not None and org_id != source.org_id:
        raise MessageError(WRONG_ORG)
    if message.header.schema_ref.id != message.body.xdm_meta.schema_ref.id:
        other = wrong_field("$.body.xdmMeta.schemaRef.id", "is not that of header.schemaRef")
        raise MessageError(UNKNOWN_FORMAT, (_violation(other),))


def _fact(message: Message, source: InletSource, arrival: Arrival) -> Fact:
    raw = bytes(message.body.xdm_entity)
    entity = decode(raw, _ENTITIES)
    is_event = _EVENT_CLASS in message.header.schema_ref.id.lower() or (
        "_id" in entity and "timestamp" in entity
    )
    _check_size(len(raw), MAX_EVENT_BYTES if is_event else MAX_RECORD_BYTES)
    identities, refused = claims_of(entity, "$")
    if not identities:
        raise names_nobody(f"{each.namespace}: {each.reason}" for each in refused)
    if not is_event:
        check_consents(entity, "$")
        attributes = {key: value for key, value in entity.items() if key != "identityMap"}
        return IncomingRecord(identities, attributes, refused)
    minted = minted_event_id(source.id, arrival.request_id, arrival.index)
    return IncomingEvent(
        event_id_of(entity, "$") or minted,
        event_type_of(entity, "$"),
        moment_of(entity, "$", arrival.at),
        identities,
        entity,
        refused=refused,
    )


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise MessageError(f"Message is larger than {limit} bytes: its entity has {size}")


def _violation(error: BodyError) -> JsonObject:
    place = error.path.removeprefix("$").replace("[...]", ".*")
    pointer = place.replace("[", "/").replace("]", "").replace(".", "/")
    return {
        "schemaLocation": "#",
        "pointerToViolation": f"#{pointer}",
        "causingExceptions": [],
        "keyword": "type",
        "message": error.problem,
    }
