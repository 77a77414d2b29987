"""A parsed request in which only those logins count that its datastream's rules let count.

Source: service/decisions/0015-login-proof.md.
"""

from dataclasses import replace
from typing import Any

from service.catalog.datastream_settings import LoginProofMode
from service.flows.login_proofs import LoginProofs
from service.flows.sources import DatastreamSource
from service.identity.identity_map import ClaimedIdentity
from service.profiles.incoming import IncomingConsent, IncomingEvent
from service.web.edge.ecid import named_ecid
from service.web.edge.parsed import ParsedRequest


def judged(parsed: ParsedRequest, source: DatastreamSource, proofs: LoginProofs) -> ParsedRequest:
    """Return a request whose unproved logins are ambiguous, in its events and its consents.

    Proofs are gone from the events' ``data``; the bytes of the body still hold them. A consent
    carries none: whoever has proved the login by an event of the same device needs none there.
    """
    if source.settings.login_proof.mode is LoginProofMode.OFF:
        return parsed
    incoming = parsed.incoming

    def counted(
        each: IncomingEvent | IncomingConsent, data: dict[str, Any] | None
    ) -> dict[str, Any]:
        own: tuple[ClaimedIdentity, ...] = each.identities
        identities, unproved = proofs.judge(
            source, own, data, named_ecid(own), now=incoming.received_at
        )
        return {"identities": identities, "refused": each.refused + unproved}

    events = tuple(replace(each, **counted(each, each.data)) for each in incoming.events)
    consents = tuple(replace(each, **counted(each, None)) for each in incoming.consents)
    return replace(parsed, incoming=replace(incoming, events=events, consents=consents))
