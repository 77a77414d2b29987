"""What a login proof says: a short-lived JWT by which a customer's backend vouches for a login.

The claims ``sub`` (the identity's value), ``ecid`` (the device), ``iat`` and ``exp`` are required,
``ns`` (the namespace's code) and ``aud`` are not.

Source: service/decisions/0015-login-proof.md; RFC 7519; RFC 8725.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import jwt
import msgspec
from jwt.types import Options
from msgspec import Meta, Struct

from service.access.login_keys import PublicKey
from service.core.errors import EdgepostError
from service.core.secret import Secret

MAX_LENGTH = 4096
MAX_LIFE_S = 600
LEEWAY_S = 60
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# what the claims say is judged below, by the injected clock and the datastream's own settings
_SIGNATURE_ONLY: Options = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
    "verify_sub": False,
    "verify_jti": False,
}


class Flaw(StrEnum):
    """Why a login is not proved, as the audit names it."""

    MISSING = "loginProofMissing"
    MALFORMED = "loginProofMalformed"
    BAD_SIGNATURE = "loginProofBadSignature"
    KEY_UNAVAILABLE = "loginProofKeyUnavailable"
    EXPIRED = "loginProofExpired"
    TOO_LONG = "loginProofTooLong"
    WRONG_AUDIENCE = "loginProofWrongAudience"
    WRONG_DEVICE = "loginProofWrongDevice"
    WRONG_PERSON = "loginProofWrongPerson"


class FlawedProofError(EdgepostError):
    """A proof does not count.

    Attributes:
        flaw: Why.
    """

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.value)
        self.flaw = flaw


@dataclass(frozen=True, slots=True)
class ProofHeader:
    """How a proof says it is signed; nothing is verified yet."""

    algorithm: str
    kid: str | None


Seconds = Annotated[float, Meta(ge=0, le=2**40)]


class LoginClaims(Struct, frozen=True):
    """What a signed proof says; ``iat`` and ``exp`` are seconds since 1970."""

    sub: str
    ecid: str
    iat: Seconds
    exp: Seconds
    ns: str | None = None
    nbf: Seconds | None = None
    aud: str | list[str] | None = None


def read_header(text: str) -> ProofHeader:
    """Return a proof's header.

    Raises:
        FlawedProofError: The text is no JWT.
    """
    if len(text) > MAX_LENGTH or not _SHAPE.fullmatch(text):
        raise FlawedProofError(Flaw.MALFORMED)
    try:
        header = jwt.get_unverified_header(text)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise FlawedProofError(Flaw.MALFORMED) from error
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise FlawedProofError(Flaw.MALFORMED)
    return ProofHeader(algorithm, header.get("kid"))


def read_claims(text: str, key: PublicKey | Secret, algorithm: str) -> LoginClaims:
    """Return the claims of a proof that ``key`` signed, whatever they say.

    Args:
        text: The proof.
        key: The only key to try, chosen by the datastream's settings.
        algorithm: The only algorithm to try, which the key is good for.

    Raises:
        FlawedProofError: Another key signed it, or claims are missing or of the wrong type.
    """
    usable = key.reveal() if isinstance(key, Secret) else key
    try:
        claims = jwt.decode(text, usable, algorithms=[algorithm], options=_SIGNATURE_ONLY)
    except jwt.InvalidSignatureError as error:
        raise FlawedProofError(Flaw.BAD_SIGNATURE) from error
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise FlawedProofError(Flaw.MALFORMED) from error
    try:
        return msgspec.convert(claims, LoginClaims)
    except (msgspec.ValidationError, OverflowError) as error:
        raise FlawedProofError(Flaw.MALFORMED) from error


def flaw_of(
    claims: LoginClaims, *, audience: str | None, ecid: str | None, now: datetime
) -> Flaw | None:
    """Return why signed claims prove nothing here and now, ``None`` when they do.

    Args:
        claims: What was signed.
        audience: What ``aud`` must hold; ``None`` asks for nothing.
        ecid: The device that shows the proof.
        now: When it is shown; clocks may differ by a minute.
    """
    if claims.exp <= claims.iat:
        return Flaw.MALFORMED
    if claims.exp - claims.iat > MAX_LIFE_S:
        return Flaw.TOO_LONG
    seconds = now.timestamp()
    begins = max(claims.iat, claims.nbf or claims.iat)
    if not begins - LEEWAY_S <= seconds < claims.exp + LEEWAY_S:
        return Flaw.EXPIRED
    named = [claims.aud] if isinstance(claims.aud, str) else claims.aud or []
    if audience is not None and audience not in named:
        return Flaw.WRONG_AUDIENCE
    if ecid is None or claims.ecid != ecid:
        return Flaw.WRONG_DEVICE
    return None
