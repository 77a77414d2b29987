"""Which logins of an event are proved: the customer's backend signed them for this very device.

What is not proved becomes ambiguous, so it may link a device that has no person and never takes a
token. Nothing is looked up in the store.

Source: service/decisions/0015-login-proof.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from service.access import login_keys
from service.access.login_keys import ProofAlgorithm, PublicKey
from service.access.login_proofs import (
    Flaw,
    FlawedProofError,
    LoginClaims,
    ProofHeader,
    flaw_of,
    read_claims,
    read_header,
)
from service.catalog.datastream_settings import LoginProof, LoginProofMode
from service.core.errors import InvalidInputError
from service.core.secret import Secret
from service.flows.sources import DatastreamSource
from service.identity.identity_map import AuthenticatedState, ClaimedIdentity, RefusedIdentity
from service.outbound.key_sets import KeysUnavailableError

FIELD = "loginProof"
MAX_PROOFS = 5


class PublishedKeys(Protocol):
    """Finds the key that a proof names among those published at a URL."""

    def find(self, url: str, kid: str | None, algorithm: str) -> PublicKey | None:
        """Return the key; ``KeysUnavailableError`` when it cannot be known now."""
        ...


@dataclass(frozen=True, slots=True)
class _Judged:
    """One proof of an event: what it says, as far as it is signed, and why it does not count."""

    claims: LoginClaims | None
    flaw: Flaw | None

    def proves(self, login: ClaimedIdentity) -> bool:
        """Tell whether this proof makes a login count."""
        return self.flaw is None and self._names(login.namespace) and self._is_of(login.value)

    def speaks_of(self, login: ClaimedIdentity) -> bool:
        """Tell whether a login without a valid proof may have this one to blame."""
        return self.claims is None or self._names(login.namespace)

    def _names(self, namespace: str) -> bool:
        return self.claims is not None and self.claims.ns in {None, namespace}

    def _is_of(self, value: str) -> bool:
        return self.claims is not None and self.claims.sub == value


class LoginProofs:
    """Judges the logins of events; safe between threads."""

    def __init__(self, published: PublishedKeys) -> None:
        self._published = published

    def judge(
        self,
        source: DatastreamSource,
        identities: tuple[ClaimedIdentity, ...],
        data: dict[str, Any] | None,
        ecid: str | None,
        *,
        now: datetime,
    ) -> tuple[tuple[ClaimedIdentity, ...], tuple[RefusedIdentity, ...]]:
        """Return the identities as they may count, and the logins that were not proved.

        The proofs are taken out of ``data``, so that they are never stored. While the mode is off
        nothing happens. Blocks for two seconds at most, and only where keys are published at a URL
        and have to be fetched first.

        Args:
            source: Whose settings hold.
            identities: Those of request and event together.
            data: The event's own ``data``, where proofs travel: a text or a list of texts.
            ecid: The device that the event speaks for; a proof counts on no other.
            now: When the event was received.
        """
        proof = source.settings.login_proof
        if proof.mode is LoginProofMode.OFF:
            return identities, ()
        written = data.pop(FIELD, None) if data else None
        logins = [each for each in identities if _is_login(each, source.device_namespaces)]
        if not logins:
            return identities, ()
        judged = [self._judged(proof, each, ecid, now) for each in _texts(written)]
        flaws = _flaws(logins, judged)
        if proof.mode is LoginProofMode.OPTIONAL:
            flaws = {login: flaw for login, flaw in flaws.items() if flaw is not Flaw.MISSING}
        if not flaws:
            return identities, ()
        kept = tuple(
            replace(each, state=AuthenticatedState.AMBIGUOUS) if each in flaws else each
            for each in identities
        )
        return kept, tuple(
            RefusedIdentity(each.namespace, each.value, flaw.value) for each, flaw in flaws.items()
        )

    def _judged(
        self, proof: LoginProof, text: str | None, ecid: str | None, now: datetime
    ) -> _Judged:
        if text is None:
            return _Judged(None, Flaw.MALFORMED)
        try:
            header = read_header(text)
            claims = read_claims(text, self._key(proof, header), header.algorithm)
        except FlawedProofError as error:
            return _Judged(None, error.flaw)
        return _Judged(claims, flaw_of(claims, audience=proof.audience, ecid=ecid, now=now))

    def _key(self, proof: LoginProof, header: ProofHeader) -> PublicKey | Secret:
        """Return the one key that may have signed a proof, by the datastream's settings.

        Raises:
            FlawedProofError: The algorithm is not allowed, or no key is there to check it.
        """
        if header.algorithm not in proof.algorithms:
            raise FlawedProofError(Flaw.BAD_SIGNATURE)
        if header.algorithm == ProofAlgorithm.HS256:
            if proof.secret is None:
                raise FlawedProofError(Flaw.KEY_UNAVAILABLE)
            return proof.secret
        key = _own_key(proof) if proof.jwks_url is None else self._published_key(proof, header)
        if login_keys.algorithm_of(key) != header.algorithm:
            raise FlawedProofError(Flaw.BAD_SIGNATURE)
        return key

    def _published_key(self, proof: LoginProof, header: ProofHeader) -> PublicKey:
        try:
            key = self._published.find(proof.jwks_url or "", header.kid, header.algorithm)
        except KeysUnavailableError as error:
            raise FlawedProofError(Flaw.KEY_UNAVAILABLE) from error
        if key is None:
            raise FlawedProofError(Flaw.BAD_SIGNATURE)
        return key


def _own_key(proof: LoginProof) -> PublicKey:
    try:
        return login_keys.read_public_key(proof.public_key or "")
    except InvalidInputError as error:
        raise FlawedProofError(Flaw.KEY_UNAVAILABLE) from error


def _is_login(identity: ClaimedIdentity, devices: frozenset[str]) -> bool:
    return identity.state is AuthenticatedState.AUTHENTICATED and identity.namespace not in devices


def _texts(written: Any) -> list[str | None]:
    """Return what was attached as proofs; ``None`` stands for one that is no text."""
    if written is None:
        return []
    several = written[:MAX_PROOFS] if isinstance(written, list) else [written]
    return [each if isinstance(each, str) else None for each in several]


def _flaws(
    logins: Sequence[ClaimedIdentity], judged: Sequence[_Judged]
) -> Mapping[ClaimedIdentity, Flaw]:
    """Return why each unproved login does not count.

    A proof without a namespace that proves one login says nothing of the others.
    """
    unproved = [each for each in logins if not any(one.proves(each) for one in judged)]
    idle = [one for one in judged if not any(one.proves(each) for each in logins)]
    return {
        each: next(
            (one.flaw or Flaw.WRONG_PERSON for one in idle if one.speaks_of(each)), Flaw.MISSING
        )
        for each in unproved
    }
