"""Provider tokens of APNs: signed seldom, shared by all, never shown."""

from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from service.core.errors import InvalidInputError
from service.core.secret import Keyring, new_secret_key
from service.outbound.action_auth import ActionSecrets
from service.outbound.auth import VendorTokens, authenticate, refused
from service.outbound.auth_apns import ApnsKeyAuth
from service.outbound.shared_tokens import SharedTokens
from service.outbound.transport import CallParts
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.messages import apns_key
from tests.support.vendor_tokens import MemoryTokenStore, no_token_endpoint

SCOPE = Scope(1, "prod")
PARTS = CallParts("POST", "https://api.push.apple.com/3/device/ab", (), b"{}")
WRITTEN = {"type": "apnsKey", "teamId": "TEAM000001", "keyId": "KEY0000001"}


class World:
    """One store that several processes share; ``spec`` is what they sign with."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.store = MemoryTokenStore(self.clock)
        self.spec = ApnsKeyAuth("TEAM000001", "KEY0000001", apns_key())
        self.tokens = self.process()

    def process(self) -> VendorTokens:
        shared = SharedTokens(self.store, self.clock)
        fingerprint = Keyring.of([new_secret_key()]).fingerprint
        return VendorTokens(shared, no_token_endpoint, self.clock, fingerprint)

    def signed(self, tokens: VendorTokens | None = None) -> CallParts:
        return authenticate(PARTS, self.spec, tokens or self.tokens, SCOPE)

    def token(self, tokens: VendorTokens | None = None) -> str:
        ((name, value),) = self.signed(tokens).headers
        assert name == "Authorization"
        return value.removeprefix("bearer ")


@pytest.fixture
def world() -> World:
    return World()


def test_a_token_says_team_key_and_moment_and_nothing_else(world: World) -> None:
    token = world.token()

    key = serialization.load_pem_private_key(apns_key().reveal().encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    claims = jwt.decode(
        token, key.public_key(), algorithms=["ES256"], options={"verify_iat": False}
    )
    assert claims == {"iss": "TEAM000001", "iat": int(world.clock.now().timestamp())}
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "KEY0000001"}


def test_a_token_is_renewed_after_45_minutes_and_not_before(world: World) -> None:
    first = world.token()
    world.clock.advance(44 * 60)
    same = world.token()
    world.clock.advance(2 * 60)
    renewed = world.token()

    assert first == same
    assert renewed != first


def test_a_process_that_starts_anew_goes_on_with_the_token_there_is(world: World) -> None:
    first = world.token()
    world.clock.advance(5 * 60)

    assert world.token(world.process()) == first


def test_a_token_that_was_refused_young_is_not_signed_again(world: World) -> None:
    first = world.token()
    world.clock.advance(19 * 60)

    refused(world.signed(), world.spec, world.tokens, SCOPE)

    assert world.token() == first


def test_a_token_that_was_refused_old_is_signed_again_once(world: World) -> None:
    old = world.signed()
    world.clock.advance(21 * 60)
    refused(old, world.spec, world.tokens, SCOPE)
    renewed = world.token()
    refused(old, world.spec, world.tokens, SCOPE)

    assert renewed not in old.headers[0][1]
    assert world.token() == renewed


def test_another_key_is_another_token(world: World) -> None:
    first = world.token()
    world.spec = ApnsKeyAuth("TEAM000001", "KEY0000002", apns_key())

    assert world.token() != first


def test_no_repr_shows_the_key(world: World) -> None:
    assert "PRIVATE" not in repr(world.spec)
    assert world.token() not in repr(world.signed())


def stored(**changed: str) -> ApnsKeyAuth:
    secrets = ActionSecrets(Keyring.of([new_secret_key()]), {})
    kept = secrets.store({**WRITTEN, "privateKey": apns_key().reveal(), **changed})
    assert "PRIVATE" not in repr(kept.auth)
    spec = secrets.reveal(kept)
    assert isinstance(spec, ApnsKeyAuth)
    return spec


def test_a_stored_key_comes_back_whole() -> None:
    assert stored() == ApnsKeyAuth("TEAM000001", "KEY0000001", apns_key())


def pem_of(make: Callable[[], ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]) -> str:
    return (
        make()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"teamId": "TEAM"}, "teamId"),
        ({"teamId": "team000001"}, "teamId"),
        ({"keyId": "KEY00000011"}, "keyId"),
        ({"privateKey": "hello"}, "privateKey"),
        ({"privateKey": apns_key().reveal()[:-60]}, "privateKey"),
        ({"privateKey": pem_of(lambda: ec.generate_private_key(ec.SECP384R1()))}, "privateKey"),
        (
            {"privateKey": pem_of(lambda: rsa.generate_private_key(65537, key_size=2048))},
            "privateKey",
        ),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_no_key_of_apples_is_refused_at_save(changed: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInputError, match=f"auth.{field}") as caught:
        stored(**changed)

    assert all(value not in caught.value.detail for value in changed.values())
