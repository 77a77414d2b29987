"""The connection of a stored action: its proxy and client certificate, their secrets apart.

A proxy is written as one URL with its credentials, as those who rent one out give it. It is shown
as ``http://***@host:port``; written back like that, it keeps the credentials that are stored.

Source: Journey Optimizer, external systems (mutual TLS, egress proxy).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.core.secret import Secret
from service.outbound.auth_fields import Fields
from service.outbound.connection_spec import DIRECT, ClientCertificate, ConnectionSpec
from service.outbound.egress import AddressGuard, Resolver
from service.outbound.sealed import HIDDEN, Path, Sealed, Sealer

_AT = "connection"
_PROXY = re.compile(r"(https?)://(?:([^/?#@\s]*)@)?([^/?#@\s]+)/?", re.ASCII)
_CREDENTIALS = "proxyCredentials"
_KEY: Path = ("clientCertificate", "privateKey")
_SOON = timedelta(days=30)


def store(written: Any, kept: Sealed | None, sealer: Sealer, *, now: datetime) -> Sealed | None:
    """Return what to keep of a connection, ``None`` for one that goes straight.

    Raises:
        InvalidInputError: It names something else than a proxy and a certificate, or one of them
            cannot be used.
    """
    if written is None or written == {}:
        return None
    document = _split(Fields(written, _AT))
    if not document:
        return None
    if "clientCertificate" in document:
        document["clientCertificate"].setdefault("privateKey", HIDDEN)
    sealed = sealer.seal(document, _secrets(document), kept, at=_AT)
    _check_certificate(reveal(sealed, sealer).certificate, now)
    return sealed


def reveal(sealed: Sealed | None, sealer: Sealer) -> ConnectionSpec:
    """Return how an action connects.

    Raises:
        InvalidInputError: The environment lacks a secret, or what it holds is no proxy.
        SecretKeyError: A ciphertext needs a key that is not configured.
    """
    if sealed is None:
        return DIRECT
    document = sealer.unseal(sealed, _secrets(sealed.shown))
    held = document.get("clientCertificate")
    certificate = None
    if held is not None:
        certificate = ClientCertificate(held["chain"], Secret(held["privateKey"]))
    return ConnectionSpec(_proxy(document), certificate)


def shown(document: JsonObject | None) -> JsonObject | None:
    """Return a stored connection as answers may show it, with the end of its certificate."""
    if document is None:
        return None
    answer = dict(document)
    if answer.pop(_CREDENTIALS, None) is not None:
        scheme, _, rest = answer["proxy"].partition("://")
        answer["proxy"] = f"{scheme}://{HIDDEN}@{rest}"
    if "clientCertificate" in answer:
        first = _chain(answer["clientCertificate"]["chain"])[0]
        end = {"notAfter": first.not_valid_after_utc.isoformat().replace("+00:00", "Z")}
        answer["clientCertificate"] = {**answer["clientCertificate"], **end}
    return answer


def warnings(connection: ConnectionSpec, *, now: datetime) -> tuple[str, ...]:
    """Return what an operator should do about a connection before long."""
    if connection.certificate is None:
        return ()
    end = _chain(connection.certificate.chain)[0].not_valid_after_utc
    if end <= now:
        return (f"The client certificate has ended at {end:%Y-%m-%d %H:%M} UTC: replace it.",)
    if end <= now + _SOON:
        return (f"The client certificate ends at {end:%Y-%m-%d %H:%M} UTC: replace it before.",)
    return ()


def check_proxy(
    connection: ConnectionSpec, guard: AddressGuard, resolve: Resolver | None = None
) -> None:
    """Refuse a proxy at an address that may not be called; it is judged again when connected.

    Raises:
        InvalidInputError: As ``AddressGuard.check_url``.
    """
    if connection.proxy is not None:
        matched = _PROXY.fullmatch(connection.proxy.reveal())
        if matched is not None:
            guard.check_url(f"{matched[1]}://{matched[3]}/", resolve)


def _split(fields: Fields) -> JsonObject:
    """Return the document that is kept, with every secret in a place of its own."""
    fields.only("proxy", "clientCertificate")
    document: JsonObject = {}
    proxy = fields.optional("proxy")
    if proxy is not None and proxy.startswith("env:"):
        document["proxy"] = proxy
    elif proxy is not None:
        scheme, credentials, place = _parts(proxy, fields)
        document["proxy"] = f"{scheme}://{place}"
        if credentials:
            document[_CREDENTIALS] = credentials
    certificate = fields.nested("clientCertificate")
    if certificate is not None:
        certificate.only("chain", "privateKey", "notAfter")
        document["clientCertificate"] = {"chain": certificate.text("chain")}
        key = certificate.optional("privateKey")
        if key is not None:
            document["clientCertificate"]["privateKey"] = key
    return document


def _secrets(document: Mapping[str, Any]) -> list[Path]:
    found: list[Path] = []
    if str(document.get("proxy", "")).startswith("env:"):
        found.append(("proxy",))
    if _CREDENTIALS in document:
        found.append((_CREDENTIALS,))
    if "clientCertificate" in document:
        found.append(_KEY)
    return found


def _proxy(document: Mapping[str, Any]) -> Secret | None:
    proxy = document.get("proxy")
    if proxy is None:
        return None
    scheme, credentials, place = _parts(proxy, Fields(document, _AT))
    credentials = document.get(_CREDENTIALS, credentials)
    return Secret(f"{scheme}://{credentials}@{place}" if credentials else f"{scheme}://{place}")


def _parts(proxy: str, fields: Fields) -> tuple[str, str, str]:
    """Return scheme, credentials as they are spelled, and host with port."""
    matched = _PROXY.fullmatch(proxy)
    try:
        port = urlsplit(proxy).port if matched is not None else None
    except ValueError:
        port = None
    if matched is None or port is None:
        raise fields.wrong("proxy", "is http:// or https://, with a host and a port")
    return matched[1], matched[2] or "", matched[3]


def _chain(pem: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise InvalidInputError(
            f"{_AT}.clientCertificate.chain is not a chain of certificates in PEM.",
            at=f"{_AT}.clientCertificate.chain",
        ) from None


def _check_certificate(certificate: ClientCertificate | None, now: datetime) -> None:
    """Refuse a certificate that no endpoint could take, or whose key is another's."""
    if certificate is None:
        return
    at = f"{_AT}.clientCertificate.privateKey"
    first = _chain(certificate.chain)[0]
    try:
        key = serialization.load_pem_private_key(certificate.private_key.reveal().encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # What the library says may quote the key.
        raise InvalidInputError(
            f"{at} is not a private key in PEM without a password.", at=at
        ) from None
    if _spelled(key.public_key()) != _spelled(first.public_key()):
        raise InvalidInputError(f"{at} is not the key of the chain's first certificate.", at=at)
    if first.not_valid_after_utc <= now.astimezone(UTC):
        raise InvalidInputError(
            f"The client certificate has ended at {first.not_valid_after_utc:%Y-%m-%d %H:%M} UTC.",
            at=f"{_AT}.clientCertificate.chain",
        )


def _spelled(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    spelled: bytes = key.public_bytes(serialization.Encoding.DER, form)
    return spelled
