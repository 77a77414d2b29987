"""What may be set on a datastream beyond its platform, and how its logins are proved."""

from dataclasses import fields as dataclass_fields
from typing import Any, cast

from marshmallow import fields, post_load, validate

from service.access.login_keys import ProofAlgorithm
from service.catalog.datastream_settings import (
    DEFAULTS,
    AccessType,
    DatastreamSettings,
    IpObfuscation,
    LoginProof,
    LoginProofChanges,
    LoginProofMode,
    SettingsChanges,
    read_settings,
)
from service.core.secret import Secret
from service.web.payloads.base import Choice, Flag, Payload, Whole

_MOST = 100
_COOKIE_NAME = r"\A[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}\Z"
_ABOUT_COOKIE = "Expected the name of a cookie, 1 to 128 letters, digits and hyphens: `DEVICE-ID`."
_ABOUT_RATE = (
    "The most that the web processes of one machine answer together, in equal shares; what is "
    "above it is answered 429. null sets no limit."
)


class LoginProofSchema(Payload):
    """Whether a login counts only with a proof that your backend signed, and how it is checked.

    A proof is a JWT in the event's `data.loginProof` (a text, or a list with one for each login)
    with the claims `sub` (the value of the identity), `ecid` (the device), `iat`, `exp` (at most
    600 seconds later), optionally `ns` (the code of the namespace) and `aud`.
    """

    mode = Choice(
        LoginProofMode,
        metadata={
            "default": LoginProofMode.OFF.value,
            "description": (
                "`optional`: a proof that is attached must be valid. `required`: a login without "
                "one counts as ambiguous, takes no push token, and the audit says why."
            ),
        },
    )
    algorithms = fields.List(
        Choice(ProofAlgorithm),
        validate=validate.Length(max=len(ProofAlgorithm)),
        metadata={"description": "Those that are accepted; each needs a key that fits it."},
    )
    public_key = fields.String(
        data_key="publicKey",
        allow_none=True,
        validate=validate.Length(min=1, max=8192),
        metadata={"description": "PEM: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA."},
    )
    jwks_url = fields.String(
        data_key="jwksUrl",
        allow_none=True,
        validate=validate.Length(min=1, max=2048),
        metadata={
            "description": "Where your public keys are published, instead of one key; https."
        },
    )
    audience = fields.String(
        allow_none=True,
        validate=validate.Length(min=1, max=256),
        metadata={"description": "What a proof's `aud` must hold; null asks for none."},
    )
    secret = fields.String(
        load_only=True,
        allow_none=True,
        validate=validate.Length(min=1, max=1024),
        metadata={
            "description": (
                "For HS256, at least 32 bytes of UTF-8. Kept encrypted and never shown; left out "
                "in a PATCH it stays, null removes it."
            ),
        },
    )
    has_secret = fields.Boolean(dump_only=True, data_key="hasSecret")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> LoginProofChanges:
        """Return what was written."""
        if "algorithms" in values:
            values["algorithms"] = tuple(dict.fromkeys(values["algorithms"]))
        if values.get("secret") is not None:
            values["secret"] = Secret(values["secret"])
        return cast("LoginProofChanges", values)  # its fields are named as the keys


class SettingsFields(Payload):
    """The settings as fields of a datastream and of its changes."""

    access_type = Choice(
        AccessType,
        data_key="accessType",
        metadata={
            "default": DEFAULTS.access_type.value,
            "description": "`authenticated`: requests need an access token, so no SDK is served.",
        },
    )
    event_datasets = fields.List(
        fields.UUID(),
        validate=validate.Length(max=_MOST),
        data_key="eventDatasetIds",
        metadata={"description": "Further event datasets that an event or override may name."},
    )
    ip_obfuscation = Choice(
        IpObfuscation,
        data_key="ipObfuscation",
        metadata={
            "default": DEFAULTS.ip_obfuscation.value,
            "description": "`full` keeps no address, `partial` all but its last part.",
        },
    )
    third_party_ids = Flag(
        data_key="thirdPartyIds",
        metadata={
            "default": DEFAULTS.third_party_ids,
            "description": "Whether pages may ask for a `CORE` identity.",
        },
    )
    fpid_cookie = fields.String(
        data_key="fpidCookie",
        allow_none=True,
        validate=validate.Regexp(_COOKIE_NAME, error=_ABOUT_COOKIE),
        metadata={"description": "The first-party cookie that holds a device id, beside `FPID`."},
    )
    requests_per_second = Whole(
        data_key="requestsPerSecond",
        allow_none=True,
        validate=validate.Range(1, 100_000),
        metadata={"description": _ABOUT_RATE},
    )
    login_proof = fields.Nested(LoginProofSchema, data_key="loginProof")


def settings_of(values: dict[str, Any]) -> SettingsChanges:
    """Take the settings out of what was written."""
    names = [name for name in SettingsFields().fields if name in values]
    written = {name: values.pop(name) for name in names}
    if "event_datasets" in written:
        written["event_datasets"] = frozenset(written["event_datasets"])
    return cast("SettingsChanges", written)  # the fields are named as its keys


def written_names(written: SettingsChanges) -> list[str]:
    """Return the names of written settings as JSON spells them, without any value."""
    own = [_key_of(SettingsFields, name) for name in written if name != "login_proof"]
    proof = (_key_of(LoginProofSchema, name) for name in written.get("login_proof", {}))
    return sorted([*own, *(f"loginProof.{name}" for name in proof)])


def shown_settings(document: dict[str, Any] | None, *, has_secret: bool) -> dict[str, Any]:
    """Return stored settings as the fields show them, each with its value or its default."""
    settings = read_settings(document)
    return {
        **_fields_of(settings),
        "event_datasets": sorted(settings.event_datasets),
        "login_proof": {**_fields_of(settings.login_proof), "has_secret": has_secret},
    }


def _fields_of(value: DatastreamSettings | LoginProof) -> dict[str, Any]:
    return {each.name: getattr(value, each.name) for each in dataclass_fields(value)}


def _key_of(schema: type[Payload], name: str) -> str:
    return schema().fields[name].data_key or name
