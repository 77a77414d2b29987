"""What a batch refuses is audited, but a phone that repeats itself does not fill the audit."""

from collections import Counter
from datetime import timedelta

from sqlalchemy import select

from service.audit.models import AuditEntry
from service.db.session import SessionFactory, unit_of_work
from service.flows.ingest import ingest
from service.identity.identity_map import AuthenticatedState, ClaimedIdentity, RefusedIdentity
from service.profiles.incoming import IncomingEvent
from tests.support.builders import ecid, event, person, request
from tests.support.clocks import START

NOW = START + timedelta(days=1)


def unproved(device: ClaimedIdentity, namespace: str, at: float) -> IncomingEvent:
    """Return an event with a login that nothing proves."""
    login = person("ada", AuthenticatedState.AMBIGUOUS, namespace)
    refused = (RefusedIdentity(namespace, "ada", "loginProofMissing"),)
    return event(device, login, at=at, refused=refused)


def test_a_missing_proof_is_audited_once_for_each_device_and_namespace_of_a_batch(
    store: SessionFactory,
) -> None:
    repeated = [unproved(ecid(1), "CRMID", at) for at in range(5)]
    others = [unproved(ecid(1), "Email", 6), unproved(ecid(2), "CRMID", 7)]

    with unit_of_work(store) as session:
        kept = ingest(session, [request(*repeated[:3]), request(*repeated[3:], *others)], now=NOW)

    with store.opened() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.sandbox_id == 1)).all()
    about = Counter((each.facts["ecid"], each.subject) for each in entries)
    one, two = ecid(1).value, ecid(2).value
    assert about == {(one, "CRMID"): 1, (one, "Email"): 1, (two, "CRMID"): 1}
    assert [len(each.refusals) for each in kept] == [3, 4]
