"""Provider tokens of APNs: signed here with a team's key, one for all processes.

A token is good for an hour and may not be signed again within twenty minutes of the one before:
APNs then refuses the newer one. So it is kept in the store, renewed after 45 minutes, and a process
that starts anew goes on with the one there is.

Source: Apple, Establishing a token-based connection to APNs.
"""

import re
from dataclasses import dataclass
from uuid import UUID

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from service.core.clock import Clock
from service.core.errors import InvalidInputError
from service.core.ids import derived_key
from service.core.secret import Secret
from service.outbound.auth_fields import Fields
from service.outbound.shared_tokens import Minted, SharedTokens
from service.outbound.transport import CallParts, Headers
from service.sandboxes.scope import Scope

RENEW_AFTER_S = 45 * 60
LIFE_S = 55 * 60
LEAST_AGE_S = 20 * 60
_ID = re.compile(r"[A-Z0-9]{10}")
_HEADER = "Authorization"
_SCHEME = "bearer "


@dataclass(frozen=True, slots=True)
class ApnsKeyAuth:
    """A team's key for APNs: what the ``.p8`` file holds, and the ids of both."""

    team_id: str
    key_id: str
    private_key: Secret


def read(fields: Fields) -> ApnsKeyAuth:
    """Return what an author wrote: ``teamId``, ``keyId`` and ``privateKey``.

    Raises:
        InvalidInputError: An id is not ten capitals and digits, or the key is not one of Apple's.
    """
    fields.only("type", "teamId", "keyId", "privateKey")
    team_id, key_id = fields.text("teamId"), fields.text("keyId")
    for name, value in (("teamId", team_id), ("keyId", key_id)):
        if not _ID.fullmatch(value):
            raise fields.wrong(name, "must be ten capitals and digits, as Apple shows it")
    private_key = fields.secret("privateKey")
    _check_key(fields, private_key)
    return ApnsKeyAuth(team_id, key_id, private_key)


def headers(spec: ApnsKeyAuth, tokens: SharedTokens, scope: Scope, clock: Clock) -> Headers:
    """Return the ``Authorization`` header; signs only when no token is left that will do.

    Raises:
        TokenUnavailableError: The store cannot be reached, and this process has no token yet.
    """
    token = tokens.bearer(scope, _key_of(spec), lambda: _mint(spec, clock))
    return ((_HEADER, f"{_SCHEME}{token.reveal()}"),)


def refused(parts: CallParts, spec: ApnsKeyAuth, tokens: SharedTokens, scope: Scope) -> None:
    """Take note that APNs refused a request's token; one of the last twenty minutes stays."""
    for name, value in parts.headers:
        if name == _HEADER:
            token = Secret(value.removeprefix(_SCHEME))
            tokens.refuse(scope, _key_of(spec), token, min_age_s=LEAST_AGE_S)


def _mint(spec: ApnsKeyAuth, clock: Clock) -> Minted:
    token = jwt.encode(
        {"iss": spec.team_id, "iat": int(clock.now().timestamp())},
        spec.private_key.reveal(),
        algorithm="ES256",
        headers={"kid": spec.key_id, "typ": None},
    )
    return Minted(Secret(token), LIFE_S, RENEW_AFTER_S)


def _key_of(spec: ApnsKeyAuth) -> UUID:
    return derived_key("apns-token", spec.team_id, spec.key_id, spec.private_key.reveal())


def _check_key(fields: Fields, private_key: Secret) -> None:
    try:
        key = load_pem_private_key(private_key.reveal().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # What the library says may quote the key.
        raise _wrong_key(fields) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _wrong_key(fields)


def _wrong_key(fields: Fields) -> InvalidInputError:
    return fields.wrong("privateKey", "must be the .p8 file of an APNs key: a P-256 key in PEM")
