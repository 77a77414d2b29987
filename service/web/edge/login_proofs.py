"""A parsed request in which only those logins count that its datastream's rules let count.

Source: service/decisions/0015-login-proof.md.
"""

from dataclasses import replace

from service.access.login_proofs import Flaw
from service.catalog.datastream_settings import LoginProofMode
from service.flows.login_proofs import LoginProofs
from service.flows.sources import DatastreamSource
from service.identity.identity_map import AuthenticatedState, ClaimedIdentity, RefusedIdentity
from service.profiles.incoming import IncomingConsent
from service.web.edge import errors
from service.web.edge.ecid import named_ecid
from service.web.edge.parsed import ParsedRequest


def judged(parsed: ParsedRequest, source: DatastreamSource, proofs: LoginProofs) -> ParsedRequest:
    """Return a request whose unproved logins are ambiguous, and whose consents name no people.

    Proofs are gone from the events' ``data``; the bytes of the body still hold them.

    Raises:
        EdgeError: A consent is of people only, and nothing proves that they give it.
    """
    if source.settings.login_proof.mode is LoginProofMode.OFF:
        return parsed
    incoming = parsed.incoming
    events = []
    for each in incoming.events:
        identities, unproved = proofs.judge(
            source,
            each.identities,
            each.data,
            named_ecid(each.identities),
            now=incoming.received_at,
        )
        events.append(replace(each, identities=identities, refused=each.refused + unproved))
    consents = tuple(_of_the_device(each, source) for each in incoming.consents)
    return replace(parsed, incoming=replace(incoming, events=tuple(events), consents=consents))


def _of_the_device(said: IncomingConsent, source: DatastreamSource) -> IncomingConsent:
    """Return a consent that only the device gives, for it carries no proof of who else does.

    Ingest hangs it on the person all the same where the device has proved to be theirs before. A
    logout still ends a login.
    """
    kept = tuple(each for each in said.identities if _may_consent(each, said, source))
    if not kept:
        raise errors.unproved_consent()
    unproved = tuple(
        RefusedIdentity(each.namespace, each.value, Flaw.MISSING.value)
        for each in said.identities
        if each not in kept
    )
    return replace(said, identities=kept, refused=said.refused + unproved)


def _may_consent(each: ClaimedIdentity, said: IncomingConsent, source: DatastreamSource) -> bool:
    if each.namespace in source.device_namespaces:
        return True
    has_device = named_ecid(said.identities) is not None
    return has_device and each.state is AuthenticatedState.LOGGED_OUT
