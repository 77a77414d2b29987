"""VAPID: a token for each push service, signed seldom, with a contact that all of them take."""

from base64 import urlsafe_b64decode

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from py_vapid import Vapid  # type: ignore[import-untyped]

from service.core.errors import InvalidInputError
from service.core.secret import Keyring, new_secret_key
from service.outbound.action_auth import ActionSecrets
from service.outbound.auth import VendorTokens, authenticate, make_ready, refused
from service.outbound.auth_vapid import VapidAuth
from service.outbound.transport import CallParts
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.messages import apns_key, vapid
from tests.support.push_browsers import unpadded
from tests.support.vendor_tokens import MemoryTokenStore, no_token_endpoint, tokens_of

SCOPE = Scope(1, "prod")
MOZILLA = "https://updates.push.services.mozilla.com/wpush/v2/gAAA"
WRITTEN = {"type": "vapid", "subject": "mailto:push@example.com"}


class World:
    """One store that several processes share."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.store = MemoryTokenStore(self.clock)
        self.tokens = self.process()

    def process(self) -> VendorTokens:
        return tokens_of(no_token_endpoint, self.clock, self.store)

    def signed(self, url: str = MOZILLA, tokens: VendorTokens | None = None) -> CallParts:
        parts = CallParts("POST", url, (), b"")
        return authenticate(parts, vapid(), tokens or self.tokens, SCOPE)

    def token(self, url: str = MOZILLA, tokens: VendorTokens | None = None) -> str:
        ((name, value),) = self.signed(url, tokens).headers
        assert name == "Authorization"
        return value.removeprefix("vapid t=").partition(", k=")[0]


@pytest.fixture
def world() -> World:
    return World()


def public_key() -> ec.EllipticCurvePublicKey:
    point = urlsafe_b64decode(vapid().public_key + "=")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def test_a_token_says_for_whom_until_when_and_whom_to_ask(world: World) -> None:
    signed = world.signed().headers[0][1]
    token = world.token()

    claims = jwt.decode(
        token,
        public_key(),
        algorithms=["ES256"],
        audience="https://updates.push.services.mozilla.com",
        options={"verify_exp": False},
    )
    assert claims == {
        "aud": "https://updates.push.services.mozilla.com",
        "exp": int(world.clock.now().timestamp()) + 12 * 3600,
        "sub": "mailto:push@example.com",
    }
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "JWT"}
    assert signed == f"vapid t={token}, k={vapid().public_key}"
    assert Vapid.verify(signed.replace(", ", ","))


def test_each_push_service_has_one_token_of_its_own(world: World) -> None:
    urls = [MOZILLA, "https://web.push.apple.com/Q1", "https://push.example.com:8443/a"]

    tokens = [world.token(url) for url in urls]
    again = [world.token(f"{url}/other", world.process()) for url in urls]

    audiences = [jwt.decode(each, options={"verify_signature": False})["aud"] for each in tokens]
    assert audiences == [
        "https://updates.push.services.mozilla.com",
        "https://web.push.apple.com",
        "https://push.example.com:8443",
    ]
    assert again == tokens


def test_a_token_is_renewed_before_it_ends(world: World) -> None:
    first = world.token()
    world.clock.advance(10.9 * 3600)
    same = world.token()
    world.clock.advance(0.2 * 3600)

    assert same == first
    assert world.token() != first


def test_a_refused_token_is_signed_again_unless_it_was_just_signed(world: World) -> None:
    first = world.signed()
    refused(first, vapid(), world.tokens, SCOPE)
    young = world.signed()
    world.clock.advance(601)
    assert refused(first, vapid(), world.tokens, SCOPE)

    assert young == first
    assert world.signed() != first


def test_nothing_is_signed_before_the_push_service_is_known(world: World) -> None:
    make_ready(vapid(), world.tokens, SCOPE)

    assert not world.store.rows


def stored(**changed: str) -> VapidAuth:
    secrets = ActionSecrets(Keyring.of([new_secret_key()]), {})
    kept = secrets.store({**WRITTEN, "privateKey": apns_key().reveal(), **changed})
    assert kept.auth["privateKey"] == "***"
    assert "PRIVATE" not in repr(kept.auth)
    spec = secrets.reveal(kept)
    assert isinstance(spec, VapidAuth)
    assert kept.auth["publicKey"] == spec.public_key
    return spec


def test_what_is_shown_has_the_key_that_pages_subscribe_with() -> None:
    spec = stored()

    assert spec == vapid()
    assert len(urlsafe_b64decode(spec.public_key + "=")) == 65
    assert "PRIVATE" not in repr(spec)


def test_a_key_is_read_as_other_tools_write_it() -> None:
    key = serialization.load_pem_private_key(apns_key().reveal().encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    raw = key.private_numbers().private_value.to_bytes(32)

    assert stored(privateKey=unpadded(raw)).public_key == vapid().public_key


def test_what_was_shown_can_be_written_back() -> None:
    secrets = ActionSecrets(Keyring.of([new_secret_key()]), {})
    kept = secrets.store({**WRITTEN, "privateKey": apns_key().reveal()})

    again = secrets.store(kept.auth, kept)

    assert secrets.reveal(again) == vapid()


@pytest.mark.parametrize(
    "subject",
    [
        "push@example.com",
        "mailto:ops@localhost",
        "mailto:ops@shop.local",
        "mailto: <ops@example.com>",
        "mailto:<ops@example.com>",
        "mailto:ops@shop.localhost",
        "mailto:ops@10.0.0.1",
        "https://localhost/contact",
        "http://example.com",
        "https://shop.local",
        "mailto:ops@example.com,x@example.com",
    ],
)
def test_a_contact_that_some_push_service_refuses_is_refused_at_once(subject: str) -> None:
    with pytest.raises(InvalidInputError, match=r"auth\.subject must be mailto:"):
        stored(subject=subject)


@pytest.mark.parametrize("subject", ["https://example.com", "https://shop.example.com/contact?x=1"])
def test_a_page_is_a_contact_too(subject: str) -> None:
    assert stored(subject=subject).subject == subject


def wrong_keys() -> list[str]:
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    plain = serialization.NoEncryption()
    return [
        rsa.generate_private_key(65537, 2048).private_bytes(*pem, plain).decode(),
        ec.generate_private_key(ec.SECP384R1()).private_bytes(*pem, plain).decode(),
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        unpadded(bytes(32)),
        unpadded(bytes(31)),
        "änderung",
    ]


def test_a_key_of_another_kind_is_refused_without_being_quoted() -> None:
    for key in wrong_keys():
        with pytest.raises(InvalidInputError, match=r"auth\.privateKey must be") as caught:
            stored(privateKey=key)

        assert key not in caught.value.detail


def test_a_public_key_of_another_pair_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"auth\.publicKey belongs to another key"):
        stored(publicKey=unpadded(bytes([4, *range(64)])))
