"""Connections of stored actions: a proxy and a client certificate, checked when they are saved."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from service.core import json
from service.core.errors import InvalidInputError
from service.core.secret import Keyring, Secret, new_secret_key
from service.outbound.action_connection import check_proxy, reveal, shown, store, warnings
from service.outbound.connection_spec import DIRECT, ClientCertificate, ConnectionSpec
from service.outbound.egress import AddressGuard
from service.outbound.sealed import Sealed, Sealer
from tests.support.certificates import client_certificate
from tests.support.clocks import START

CHAIN, KEY = client_certificate()
_, OTHER_KEY = client_certificate()
PROXY = "http://jo:pw-s3cret@proxy.example:8080"
SEALER = Sealer(
    Keyring.of([new_secret_key()]), {"ACTION_SECRET_PROXY": PROXY, "ACTION_SECRET_X": "x"}
)


def kept(written: Any, before: Sealed | None = None) -> Sealed:
    sealed = store(written, before, SEALER, now=START)
    assert sealed is not None
    return sealed


def with_password(pem: str) -> str:
    key = load_pem_private_key(pem.encode(), None)
    locked = serialization.BestAvailableEncryption(b"pw")
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, locked).decode()


@pytest.mark.parametrize("written", [None, {}, {"proxy": None}])
def test_without_a_proxy_and_a_certificate_calls_go_straight(written: Any) -> None:
    assert store(written, None, SEALER, now=START) is None
    assert reveal(None, SEALER) == DIRECT


def test_a_connection_is_kept_without_its_secrets_and_given_back_with_them() -> None:
    written = {"proxy": PROXY, "clientCertificate": {"chain": CHAIN, "privateKey": KEY}}

    sealed = kept(written)
    answer = shown(sealed.shown)
    again = kept(answer, sealed)

    assert answer == {
        "proxy": "http://***@proxy.example:8080",
        "clientCertificate": {
            "chain": CHAIN,
            "privateKey": "***",
            "notAfter": "2119-12-08T00:00:00Z",
        },
    }
    expected = ConnectionSpec(Secret(PROXY), ClientCertificate(CHAIN, Secret(KEY)))
    assert reveal(sealed, SEALER) == reveal(again, SEALER) == expected
    for held in (sealed, again):
        text = json.encode_text(held.shown) + repr(held) + repr(expected)
        assert "s3cret" not in text
        assert "PRIVATE KEY" not in text


def test_a_proxy_without_credentials_has_no_secret() -> None:
    sealed = kept({"proxy": "https://proxy.example:8443"})

    assert (sealed.shown, sealed.ciphertext) == ({"proxy": "https://proxy.example:8443"}, None)


def test_a_proxy_may_be_named_by_the_environment_whole() -> None:
    sealed = kept({"proxy": "env:ACTION_SECRET_PROXY"})

    assert shown(sealed.shown) == {"proxy": "env:ACTION_SECRET_PROXY"}
    assert reveal(sealed, SEALER).proxy == Secret(PROXY)


def test_a_left_out_key_stays_with_its_chain_and_no_other() -> None:
    sealed = kept({"clientCertificate": {"chain": CHAIN, "privateKey": KEY}})

    again = kept({"clientCertificate": {"chain": CHAIN}}, sealed)

    assert reveal(again, SEALER) == reveal(sealed, SEALER)
    with pytest.raises(InvalidInputError, match="not the key of the chain"):
        kept({"clientCertificate": {"chain": client_certificate()[0]}}, sealed)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("http://proxy.example:8080", "connection must be an object"),
        ({"colour": "red"}, "connection.colour is not known"),
        ({"proxy": "socks5://proxy.example:1080"}, "connection.proxy is http"),
        ({"proxy": "http://pw-s3cret@"}, "connection.proxy is http"),
        ({"proxy": "http://proxy.example"}, "with a host and a port"),
        ({"proxy": "http://proxy.example:99999"}, "with a host and a port"),
        ({"proxy": "http://jo:pw-s3cret@proxy.example:80/path"}, "connection.proxy is http"),
        ({"proxy": "http://proxy.example:80\r\nX: y"}, "connection.proxy is http"),
        ({"proxy": "env:ACTION_SECRET_X"}, "connection.proxy is http"),
        ({"proxy": "env:HOME"}, "env:ACTION_SECRET_"),
        ({"proxy": "http://***@proxy.example:8080"}, "proxyCredentials is missing"),
        ({"clientCertificate": {"privateKey": KEY}}, "chain is missing"),
        ({"clientCertificate": {"chain": CHAIN}}, "privateKey is missing"),
        ({"clientCertificate": {"chain": "s3cret", "privateKey": KEY}}, "chain is not a chain"),
        ({"clientCertificate": {"chain": CHAIN, "privateKey": "s3cret"}}, "not a private key"),
        (
            {"clientCertificate": {"chain": CHAIN, "privateKey": with_password(KEY)}},
            "without a password",
        ),
        ({"clientCertificate": {"chain": CHAIN, "privateKey": OTHER_KEY}}, "not the key of the"),
    ],
)
def test_what_could_not_connect_is_refused_without_quoting_it(written: Any, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says) as caught:
        kept(written)

    assert "s3cret" not in str(caught.value) + repr(caught.value.fields)
    assert "PRIVATE KEY" not in str(caught.value)


def test_a_certificate_that_has_ended_is_refused() -> None:
    chain, key = client_certificate(ends=START - timedelta(days=1))

    with pytest.raises(InvalidInputError, match="has ended at 2026-06-30"):
        kept({"clientCertificate": {"chain": chain, "privateKey": key}})


@pytest.mark.parametrize(("days", "says"), [(-1, "has ended"), (10, "ends at"), (40, None)])
def test_the_operator_is_warned_before_a_certificate_ends(days: int, says: str | None) -> None:
    chain, key = client_certificate(ends=START + timedelta(days=days))
    connection = ConnectionSpec(certificate=ClientCertificate(chain, Secret(key)))

    found = warnings(connection, now=START)

    assert [says in each for each in found if says is not None] == [True] * len(found)
    assert bool(found) == (says is not None)


def test_a_connection_without_a_certificate_warns_of_nothing() -> None:
    assert warnings(DIRECT, now=START) == ()


def test_a_proxy_inside_is_refused_unless_the_operator_allows_its_network() -> None:
    inside = ConnectionSpec(proxy=Secret("http://jo:pw-s3cret@10.1.2.3:3128"))

    with pytest.raises(InvalidInputError, match="EDGEPOST_ALLOW_PRIVATE_HOSTS") as caught:
        check_proxy(inside, AddressGuard())
    check_proxy(inside, AddressGuard.of("10.1.0.0/16"))

    assert "s3cret" not in str(caught.value)
