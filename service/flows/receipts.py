"""Receipts: what vendors say of messages after they took them.

Source: service/decisions/0025-after-the-send.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from service.audit import entries
from service.audit.entries import AuditFilter, NewAuditEntry
from service.core.clock import Clock
from service.core.errors import ForbiddenError, NotFoundError
from service.core.ids import derived_key
from service.core.secret import Keyring
from service.db.session import SessionFactory, unit_of_work
from service.flows import tracking
from service.outbound import kept_feedback, receipt_sources
from service.outbound.feedback import Receipt
from service.outbound.kept_interactions import TrackedEvent
from service.outbound.receipt_mapping import READERS
from service.outbound.receipt_signatures import CHECKS, ReceiptRequest
from service.sandboxes.scope import Scope

OPT_OUT: Final = "receipt.optOut"
_LOG = structlog.get_logger("service.flows.receipts")


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a request: receipts in it, deliveries it changed, ids that nobody knows."""

    receipts: int
    changed: int
    unknown: int


def take_in(
    sessions: SessionFactory,
    keyring: Keyring,
    clock: Clock,
    source_id: UUID,
    request: ReceiptRequest,
) -> Taken:
    """Keep what a vendor says; the same again changes nothing, and any order ends the same.

    Nothing of the body is read before its signature was checked.

    Raises:
        NotFoundError: There is no such source.
        ForbiddenError: The signature is wrong, missing or too old.
        InvalidInputError: The body cannot be read.
    """
    now = clock.now()
    with unit_of_work(sessions) as session:
        found = receipt_sources.find(session, source_id)
    if found is None:
        raise NotFoundError(f"There is no receipt source {source_id}.")
    scope, source = found
    secret = "" if source.secret is None else keyring.decrypt(source.secret).reveal()
    public_url = source.settings.get("publicUrl")
    if public_url is not None:
        _, mark, query = request.url.partition("?")
        request = replace(request, url=f"{public_url}{mark}{query}")
    if not secret or not CHECKS[source.provider](request, secret, now):
        raise ForbiddenError("The signature is wrong, missing or too old.")
    receipts = READERS[source.provider](request, now)
    named = [each for each in receipts if each.delivery_id is not None]
    with unit_of_work(sessions) as session:
        taken = _keep(session, scope, source_id, named, now)
    taken = replace(taken, receipts=len(receipts), unknown=len(receipts) - taken.receipts)
    _LOG.info(
        "receipts_taken",
        source=str(source_id),
        receipts=taken.receipts,
        changed=taken.changed,
        unknown=taken.unknown,
    )
    return taken


def _keep(
    session: Session, scope: Scope, source_id: UUID, receipts: Sequence[Receipt], now: datetime
) -> Taken:
    people = kept_feedback.lock_known(
        session, scope, [each.delivery_id for each in receipts if each.delivery_id is not None]
    )
    known = [each for each in receipts if each.delivery_id in people]
    if not known:
        return Taken(0, 0, 0)
    changed = kept_feedback.keep(session, scope, known)
    tracked: dict[UUID, TrackedEvent] = {}
    for each in known:
        if each.interaction is not None and each.delivery_id is not None:
            key = derived_key("receipt", str(source_id), each.event_id)
            tracked[key] = TrackedEvent(key, each.delivery_id, each.interaction, each.at)
    tracking.keep_interactions(session, scope, tuple(tracked.values()), now=now)
    _audit(session, scope, source_id, known, people, now)
    return Taken(len(known), changed, 0)


def _audit(
    session: Session,
    scope: Scope,
    source_id: UUID,
    receipts: Sequence[Receipt],
    people: dict[UUID, UUID],
    now: datetime,
) -> None:
    """Record once who wants no more; whether that is their consent is not the vendor's to say."""
    opted_out = {
        each.delivery_id: each
        for each in receipts
        if each.opts_out and each.delivery_id is not None
    }
    new = {
        key: each
        for key, each in opted_out.items()
        if not entries.list_page(session, scope, AuditFilter(OPT_OUT, str(key)), limit=1)
    }
    entries.record(
        session,
        scope,
        [
            NewAuditEntry(
                at=now,
                actor="receipts",
                action=OPT_OUT,
                subject=str(key),
                reason=each.reason or "unsubscribe",
                facts={"identityId": str(people[key]), "sourceId": str(source_id)},
            )
            for key, each in new.items()
        ],
    )
