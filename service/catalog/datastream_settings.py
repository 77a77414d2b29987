"""What an operator may set on a datastream beyond its platform, consent and logout rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypedDict
from uuid import UUID

from service.access import login_keys
from service.access.login_keys import ProofAlgorithm
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.core.secret import Secret


class AccessType(StrEnum):
    """Whether requests without a bearer token are answered (v1) or refused."""

    MIXED = "mixed"
    AUTHENTICATED = "authenticated"


class IpObfuscation(StrEnum):
    """How much of the sender's address is kept: all, without its last part, or nothing."""

    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"


class LoginProofMode(StrEnum):
    """Whether an authenticated login identity needs a proof to count as one."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class LoginProof:
    """How a datastream checks the proof that the customer's backend signed.

    Attributes:
        algorithms: The only ones accepted; empty while the mode is off.
        public_key: PEM, for RS256, ES256 and EdDSA.
        jwks_url: Where public keys are published, instead of one key.
        secret: For HS256; kept encrypted, never shown again.
        audience: What the proof's ``aud`` must hold; ``None`` asks for none.
    """

    mode: LoginProofMode = LoginProofMode.OFF
    algorithms: tuple[str, ...] = ()
    public_key: str | None = None
    jwks_url: str | None = None
    secret: Secret | None = field(default=None, repr=False)
    audience: str | None = None


@dataclass(frozen=True, slots=True)
class DatastreamSettings:
    """The settings of one datastream; every one has a default.

    Attributes:
        event_datasets: Further datasets that an event or an override may name.
        third_party_ids: Whether pages may ask for a ``CORE`` identity.
        fpid_cookie: The first-party cookie that holds a device id, ``None`` for none but ``FPID``.
        requests_per_second: The most that the web processes of one machine answer together;
            ``None`` for no limit.
    """

    access_type: AccessType = AccessType.MIXED
    event_datasets: frozenset[UUID] = frozenset()
    ip_obfuscation: IpObfuscation = IpObfuscation.FULL
    third_party_ids: bool = False
    fpid_cookie: str | None = None
    requests_per_second: int | None = None
    login_proof: LoginProof = LoginProof()


DEFAULTS = DatastreamSettings()


def read_settings(
    document: Mapping[str, Any] | None, secret: Secret | None = None
) -> DatastreamSettings:
    """Return stored settings as values; what is not in the document has its default."""
    if not document:
        return DEFAULTS
    proof = document.get("loginProof") or {}
    return DatastreamSettings(
        access_type=AccessType(document.get("accessType", AccessType.MIXED)),
        event_datasets=frozenset(UUID(each) for each in document.get("eventDatasetIds", ())),
        ip_obfuscation=IpObfuscation(document.get("ipObfuscation", IpObfuscation.FULL)),
        third_party_ids=bool(document.get("thirdPartyIds", False)),
        fpid_cookie=document.get("fpidCookie"),
        requests_per_second=document.get("requestsPerSecond"),
        login_proof=LoginProof(
            mode=LoginProofMode(proof.get("mode", LoginProofMode.OFF)),
            algorithms=tuple(proof.get("algorithms", ())),
            public_key=proof.get("publicKey"),
            jwks_url=proof.get("jwksUrl"),
            secret=secret,
            audience=proof.get("audience"),
        ),
    )


def as_document(settings: DatastreamSettings) -> JsonObject:
    """Return settings as they are stored; the secret is not among them."""
    proof = settings.login_proof
    return {
        "accessType": settings.access_type,
        "eventDatasetIds": sorted(str(each) for each in settings.event_datasets),
        "ipObfuscation": settings.ip_obfuscation,
        "thirdPartyIds": settings.third_party_ids,
        "fpidCookie": settings.fpid_cookie,
        "requestsPerSecond": settings.requests_per_second,
        "loginProof": {
            "mode": proof.mode,
            "algorithms": list(proof.algorithms),
            "publicKey": proof.public_key,
            "jwksUrl": proof.jwks_url,
            "audience": proof.audience,
        },
    }


class LoginProofChanges(TypedDict, total=False):
    """What to change of a ``LoginProof``; what is absent stays, ``None`` removes."""

    mode: LoginProofMode
    algorithms: tuple[ProofAlgorithm, ...]
    public_key: str | None
    jwks_url: str | None
    secret: Secret | None
    audience: str | None


class SettingsChanges(TypedDict, total=False):
    """What to change of ``DatastreamSettings``; what is absent stays, ``None`` removes."""

    access_type: AccessType
    event_datasets: frozenset[UUID]
    ip_obfuscation: IpObfuscation
    third_party_ids: bool
    fpid_cookie: str | None
    requests_per_second: int | None
    login_proof: LoginProofChanges


def changed(settings: DatastreamSettings, changes: SettingsChanges) -> DatastreamSettings:
    """Return the settings after a change; a new public key is kept in its plainest form.

    Raises:
        InvalidInputError: The public key or the secret cannot be used.
    """
    named: dict[str, Any] = {**changes}
    proof: dict[str, Any] = {**named.pop("login_proof", {})}
    if proof.get("public_key") is not None:
        proof["public_key"] = login_keys.as_pem(login_keys.read_public_key(proof["public_key"]))
    if proof.get("secret") is not None:
        login_keys.check_secret(proof["secret"])
    return replace(settings, **named, login_proof=replace(settings.login_proof, **proof))


def check_login_proof(proof: LoginProof, *, has_secret: bool) -> None:
    """Refuse a proof of login that is switched on and that nobody could ever give.

    Raises:
        InvalidInputError: Algorithms or the key are missing, or do not fit each other.
    """
    if proof.mode is LoginProofMode.OFF:
        return
    if not proof.algorithms:
        raise InvalidInputError(
            f"loginProof.mode is {proof.mode} and no algorithm is named: set loginProof.algorithms "
            f"to some of {', '.join(ProofAlgorithm)}.",
            at="loginProof.algorithms",
        )
    sources = {
        "secret": has_secret,
        "publicKey": proof.public_key is not None,
        "jwksUrl": proof.jwks_url is not None,
    }
    named = [name for name, is_set in sources.items() if is_set]
    wanted = _sources_of(proof.algorithms)
    if len(named) != 1:
        told = f"has {' and '.join(named)}" if named else "has no key"
        raise InvalidInputError(
            f"loginProof {told}: set {' or '.join(wanted)} for {', '.join(proof.algorithms)}, and "
            "the others to null.",
            at="loginProof",
        )
    if named[0] not in wanted:
        raise InvalidInputError(
            f"loginProof.{named[0]} does not fit {', '.join(proof.algorithms)}: set "
            f"{' or '.join(wanted)} instead, and {named[0]} to null.",
            at=f"loginProof.{named[0]}",
        )
    if proof.public_key is not None:
        _check_fit(proof.public_key, proof.algorithms)


def _sources_of(algorithms: tuple[str, ...]) -> tuple[str, ...]:
    """Return which sources hold a key that is good for every one of some algorithms."""
    if ProofAlgorithm.HS256 not in algorithms:
        return ("publicKey", "jwksUrl")
    if len(set(algorithms)) > 1:
        raise InvalidInputError(
            "loginProof.algorithms mixes HS256, whose key is a secret, with algorithms whose key "
            "is public: name either HS256 alone or the others.",
            at="loginProof.algorithms",
        )
    return ("secret",)


def _check_fit(pem: str, algorithms: tuple[str, ...]) -> None:
    fitting = login_keys.algorithm_of(login_keys.read_public_key(pem))
    if set(algorithms) != {fitting}:
        raise InvalidInputError(
            f"loginProof.publicKey is good for {fitting} and nothing else: set "
            f'loginProof.algorithms to ["{fitting}"], or publish several keys at a '
            "loginProof.jwksUrl.",
            at="loginProof.algorithms",
        )
