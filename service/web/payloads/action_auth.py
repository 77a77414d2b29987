"""How actions prove who calls and how they connect: the OpenAPI text of every kind.

The kinds themselves are checked by ``service.outbound.action_auth`` and ``action_connection``.
"""

from typing import Any

from service.outbound.auth_custom import BodyType, Method, Placement, TimeUnit
from service.outbound.auth_oauth import Algorithm, ClientAuth, Grant
from service.outbound.sealed import HIDDEN

_TEXT = {"type": "string", "minLength": 1}
_URL = {"type": "string", "format": "uri"}
_MAP = {"type": "object", "additionalProperties": _TEXT}
_SECRET = {
    **_TEXT,
    "description": (
        "The secret, or `env:ACTION_SECRET_…`, which names a variable of the processes that send. "
        f"Left out or `{HIDDEN}` in a PUT, the one that is stored stays."
    ),
}
_SHOWN_SECRET = {
    "type": "string",
    "readOnly": True,
    "description": (
        f"Where the secret is kept: `env:ACTION_SECRET_…`, or `{HIDDEN}` for stored here. It is "
        "never shown."
    ),
}
_SERVICE_ACCOUNT = {
    **_SECRET,
    "type": ["string", "object"],
    "description": "Google's service-account file, as an object or as text; else as for basic.",
}


def _choice(values: list[str], **more: Any) -> dict[str, Any]:
    return {"type": "string", "enum": values, **more}


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    shape = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**shape, "required": list(required)} if required else shape


def _variant(kind: str, about: str, required: tuple[str, ...] = (), **properties: Any) -> Any:
    shape = _object(("type", *required), type={"const": kind}, **properties)
    return {"title": kind, "description": about, **shape}


def _assertion(secret: dict[str, Any]) -> dict[str, Any]:
    return {
        **_object(
            (),
            issuer={**_TEXT, "description": "`iss`; left out, the clientId."},
            subject={**_TEXT, "description": "`sub`; left out, the issuer."},
            audience={**_TEXT, "description": "`aud`; left out, the tokenUrl."},
            algorithm=_choice([each.value for each in Algorithm], default=Algorithm.RS256.value),
            key=secret,
            keyId={**_TEXT, "description": "`kid` of the header."},
            claims={"type": "object", "description": "More claims."},
        ),
        "description": "What is signed for jwt_bearer, anew for each token; good for a minute.",
    }


def _oauth2(secret: dict[str, Any]) -> Any:
    return _variant(
        "oauth2",
        "A bearer from a token endpoint, kept encrypted for all processes and renewed ahead of "
        "its end (RFC 6749, RFC 7523). Without `expires_in` it is kept for an hour less a minute.",
        ("tokenUrl",),
        grant=_choice([each.value for each in Grant], default=Grant.CLIENT_CREDENTIALS.value),
        tokenUrl=_URL,
        clientId=_TEXT,
        clientSecret=secret,
        clientAuth={
            **_choice([each.value for each in ClientAuth], default=ClientAuth.BASIC.value),
            "description": "Where the client's own credentials travel.",
        },
        username={**_TEXT, "description": "Of the grant password."},
        password=secret,
        refreshToken={
            **secret,
            "description": (
                "Of the grant refresh_token. Where the vendor answers with another one, that is "
                "kept and used from then on."
            ),
        },
        scope=_TEXT,
        audience=_TEXT,
        params={**_MAP, "description": "Further fields of the form. Shown: no place for secrets."},
        jwt=_assertion(secret),
    )


def _custom(secret: dict[str, Any]) -> Any:
    values = {"type": "object", "additionalProperties": secret}
    path = {
        **_TEXT,
        "pattern": r"^(response|json://.+)$",
        "description": "`response` for the whole answer, or a path: `json://token.value`.",
    }
    return _variant(
        "customAuthorization",
        "Journey Optimizer's custom authentication: any call that answers with a token. "
        "`EncodeBase64(…)` works in headers and body parameters.",
        ("endpoint", "method", "tokenInResponse", "authorizationType"),
        endpoint={**_URL, "description": "Shown: no place for secrets."},
        method=_choice([each.value for each in Method]),
        headers={**values, "description": "Of the request for the token; every value is a secret."},
        body={
            **_object(
                ("bodyType", "bodyParams"),
                bodyType=_choice([each.value for each in BodyType]),
                bodyParams={
                    "type": "object",
                    "description": (
                        "Every text is a secret, shown as the headers' are. May be nested in json."
                    ),
                },
            ),
            "description": "A POST needs one.",
        },
        tokenInResponse=path,
        cacheDuration={
            **_object(
                ("timeUnit",),
                duration={"type": "number", "exclusiveMinimum": 0},
                expiryInResponse={**_TEXT, "pattern": "^json://.+$"},
                timeUnit=_choice([each.value for each in TimeUnit]),
            ),
            "description": "Either duration or expiryInResponse; left out, an hour less a minute.",
        },
        authorizationType=_choice([each.value for each in Placement]),
        tokenTarget={**_TEXT, "description": "The header or query parameter; not for bearer."},
    )


def _kinds(secret: dict[str, Any], account: dict[str, Any]) -> list[dict[str, Any]]:
    location = _choice(["header", "query"], default="header")
    return [
        _variant("none", "The endpoint asks for nothing."),
        _variant("basic", "RFC 7617.", ("username",), username=_TEXT, password=secret),
        _variant(
            "apiKey",
            "A constant in a header or the query.",
            ("name",),
            name=_TEXT,
            value=secret,
            location=location,
        ),
        _variant("serviceAccount", "A bearer for a Google service account.", credentials=account),
        _variant(
            "apnsKey",
            "Provider tokens of APNs, signed with a team's key.",
            ("teamId", "keyId"),
            teamId=_TEXT,
            keyId=_TEXT,
            privateKey={**secret, "description": "The .p8 file, in PEM; else as for basic."},
        ),
        _variant(
            "vapid",
            "Tokens for the push services of browsers, signed with the site's key.",
            ("subject",),
            subject={**_TEXT, "description": "`mailto:` or `https:`, of a public domain."},
            privateKey={
                **secret,
                "description": "In PEM, or its 32 bytes in url-safe base64; else as for basic.",
            },
            publicKey={
                **_TEXT,
                "description": "What pages subscribe with; follows from the private key.",
            },
        ),
        _variant(
            "awsKey",
            "An access key of AWS, or of a store that takes its signatures; it signs each call.",
            ("accessKeyId",),
            accessKeyId=_TEXT,
            secretAccessKey=secret,
            region={**_TEXT, "description": "Where it is used, unless the settings say."},
        ),
        _oauth2(secret),
        _custom(secret),
    ]


WRITTEN_AUTH = _kinds({**_SECRET, "writeOnly": True}, {**_SERVICE_ACCOUNT, "writeOnly": True})
SHOWN_AUTH = _kinds(_SHOWN_SECRET, _SHOWN_SECRET)


def _connection(secret: dict[str, Any], **more: Any) -> dict[str, Any]:
    certificate = _object(
        ("chain",),
        chain={**_TEXT, "description": "The certificate, then its issuers, in PEM."},
        privateKey=secret,
        notAfter={
            "type": "string",
            "format": "date-time",
            "description": "When the certificate ends; ignored when written.",
        },
    )
    proxy = {
        **_TEXT,
        "description": (
            "`http://user:password@host:port` or `https://…`, or `env:ACTION_SECRET_…` for all of "
            f"it. The credentials are a secret: shown as `http://{HIDDEN}@host:port`, and kept "
            "when written back so. A proxy on a private network needs "
            "EDGEPOST_ALLOW_PRIVATE_HOSTS."
        ),
    }
    shape = _object((), proxy=proxy, clientCertificate=certificate)
    return {
        **shape,
        "type": ["object", "null"],
        "description": (
            "How the endpoint and the token endpoint are reached: through a proxy with a static "
            "address, with a client certificate (mutual TLS). Left out, straight."
        ),
        **more,
    }


WRITTEN_CONNECTION = _connection({**_SECRET, "writeOnly": True})
SHOWN_CONNECTION = _connection(_SHOWN_SECRET)
