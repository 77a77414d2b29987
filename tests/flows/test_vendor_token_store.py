"""Vendor tokens in the store: one for all processes, renewed by one at a time, never in clear."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from service.core.clock import SystemClock
from service.core.ids import derived_key
from service.core.secret import Keyring, Secret, new_secret_key
from service.db.session import SessionFactory, unit_of_work
from service.flows import rotate_secrets
from service.flows.vendor_token_store import VendorTokenStore
from service.outbound import token_rows
from service.outbound.models import VendorToken
from service.outbound.shared_tokens import Minted, SharedTokens, TokenUnavailableError
from service.outbound.store_clock import read
from service.sandboxes.scope import Scope

KEY = derived_key("a-credential")
OLD, NEW = new_secret_key(), new_secret_key()
RING = Keyring.of([OLD])


class Vendor:
    """Gives out numbered tokens."""

    def __init__(self, *, life_s: float = 3600, fresh_s: float = 3300) -> None:
        self.asked = 0
        self.life_s = life_s
        self.fresh_s = fresh_s
        self.meanwhile: Callable[[], object] = lambda: None
        self.is_away = False

    def mint(self) -> Minted:
        self.asked += 1
        number = self.asked
        self.meanwhile()
        if self.is_away:
            raise TokenUnavailableError("away", may_retry=True)
        return Minted(Secret(f"token-{number}"), self.life_s, self.fresh_s)


def process(store: SessionFactory) -> SharedTokens:
    return SharedTokens(VendorTokenStore(store, RING), SystemClock())


def rows(store: SessionFactory) -> list[VendorToken]:
    with unit_of_work(store) as session:
        return list(session.scalars(select(VendorToken).where(VendorToken.sandbox_id == 1)))


def age(store: SessionFactory, **moments: float) -> None:
    """Let moments of the row lie so many seconds from the store's now."""
    with unit_of_work(store) as session:
        now = read(session)
        values = {name: now + timedelta(seconds=seconds) for name, seconds in moments.items()}
        session.execute(update(VendorToken).where(VendorToken.sandbox_id == 1).values(**values))


def test_processes_share_one_token(store: SessionFactory, scope: Scope) -> None:
    vendor = Vendor()

    got = [process(store).bearer(scope, KEY, vendor.mint).reveal() for _ in range(3)]

    assert got == ["token-1"] * 3
    assert vendor.asked == 1


def test_sandboxes_and_credentials_have_tokens_of_their_own(
    store: SessionFactory, scope: Scope
) -> None:
    vendor, tokens = Vendor(), process(store)
    other = derived_key("another-credential")

    asked = [(scope, KEY), (scope, other), (Scope(2, "dev"), KEY), (scope, KEY)]
    got = [tokens.bearer(where, key, vendor.mint).reveal() for where, key in asked]

    assert got == ["token-1", "token-2", "token-3", "token-1"]


def test_a_token_is_kept_as_ciphertext_and_moves_to_a_new_key(
    store: SessionFactory, scope: Scope
) -> None:
    process(store).bearer(scope, KEY, Vendor().mint)

    (kept,) = rows(store)
    rotation = rotate_secrets.rotate(store, Keyring.of([NEW, OLD]))
    (rotated,) = rows(store)

    assert kept.token is not None
    assert rotated.token is not None
    assert "token-1" not in kept.token
    assert rotation.rewritten == 1
    assert Keyring.of([NEW]).decrypt(rotated.token) == Secret("token-1")


def test_a_token_whose_key_is_gone_is_got_anew(store: SessionFactory, scope: Scope) -> None:
    vendor = Vendor()
    process(store).bearer(scope, KEY, vendor.mint)

    other = SharedTokens(VendorTokenStore(store, Keyring.of([NEW])), SystemClock())

    assert other.bearer(scope, KEY, vendor.mint) == Secret("token-2")


def test_a_cold_start_of_many_processes_asks_the_vendor_once(
    store: SessionFactory, scope: Scope
) -> None:
    vendor = Vendor()
    pause = threading.Event()
    vendor.meanwhile = lambda: pause.wait(0.3)
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(process(store).bearer, scope, KEY, vendor.mint) for _ in range(6)]

        assert {each.result(10) for each in asked} == {Secret("token-1")}

    assert vendor.asked == 1


def test_while_one_process_renews_the_others_go_on_with_the_old_token(
    store: SessionFactory, scope: Scope
) -> None:
    vendor = Vendor()
    process(store).bearer(scope, KEY, vendor.mint)
    age(store, refresh_at=-1, expires_at=60)
    seen: list[Secret] = []
    vendor.meanwhile = lambda: seen.append(process(store).bearer(scope, KEY, vendor.mint))

    renewed = process(store).bearer(scope, KEY, vendor.mint)

    assert (renewed, seen) == (Secret("token-2"), [Secret("token-1")])
    assert vendor.asked == 2


def test_a_process_that_died_while_renewing_holds_nobody_up_for_long(
    store: SessionFactory, scope: Scope
) -> None:
    vendor = Vendor()
    kept = VendorTokenStore(store, RING)
    died = kept.claim(scope, KEY, refused=None, afresh=False, lease_s=20)
    age(store, renewing_until=-0.01)

    got = process(store).bearer(scope, KEY, vendor.mint)
    too_late = kept.keep(
        scope, KEY, died.lease or pytest.fail("no lease"), vendor.mint(), elapsed_s=0
    )

    assert (got, too_late) == (Secret("token-1"), None)
    assert process(store).bearer(scope, KEY, vendor.mint) == Secret("token-1")


def test_an_ended_token_is_no_token(store: SessionFactory, scope: Scope) -> None:
    vendor = Vendor()
    process(store).bearer(scope, KEY, vendor.mint)
    age(store, refresh_at=-60, expires_at=-1)

    assert process(store).bearer(scope, KEY, vendor.mint) == Secret("token-2")


def test_a_refused_token_is_renewed_once_over_all_processes(
    store: SessionFactory, scope: Scope
) -> None:
    vendor, one, two = Vendor(), process(store), process(store)
    refused = one.bearer(scope, KEY, vendor.mint)
    two.bearer(scope, KEY, vendor.mint)

    got = []
    for tokens in (one, two, one):
        tokens.refuse(scope, KEY, refused)
        got.append(tokens.bearer(scope, KEY, vendor.mint).reveal())

    assert got == ["token-2"] * 3
    assert process(store).bearer(scope, KEY, vendor.mint) == Secret("token-2")


def test_a_refused_token_is_used_by_nobody_while_its_successor_is_got(
    store: SessionFactory, scope: Scope
) -> None:
    vendor, tokens = Vendor(), process(store)
    tokens.refuse(scope, KEY, tokens.bearer(scope, KEY, vendor.mint))
    kept: list[object] = []

    def look() -> None:
        claim = VendorTokenStore(store, RING).claim(
            scope, KEY, refused=None, afresh=False, lease_s=20
        )
        kept.append((claim.kept, claim.lease))

    vendor.meanwhile = look
    tokens.bearer(scope, KEY, vendor.mint)

    assert kept == [(None, None)]


def test_a_failed_renewal_leaves_the_old_token_and_lets_another_process_try(
    store: SessionFactory, scope: Scope
) -> None:
    vendor = Vendor()
    process(store).bearer(scope, KEY, vendor.mint)
    age(store, refresh_at=-1, expires_at=60)
    vendor.is_away = True

    first = process(store).bearer(scope, KEY, vendor.mint)
    vendor.is_away = False
    second = process(store).bearer(scope, KEY, vendor.mint)

    assert (first, second) == (Secret("token-1"), Secret("token-3"))


def test_what_the_next_token_is_asked_with_outlives_the_token(
    store: SessionFactory, scope: Scope
) -> None:
    minted = Minted(Secret("token-1"), 3600, 3300, Secret("refresh-2"))
    process(store).bearer(scope, KEY, lambda: minted)
    expire_all_but_endless(store)
    with unit_of_work(store) as session:
        token_rows.remove_ended(session, scope, limit=100)

    left = rows(store)

    assert process(store).successor(scope, KEY) == Secret("refresh-2")
    assert [each.expires_at for each in left] == [None]
    assert all("refresh-2" not in (each.token or "") for each in left)


def expire_all_but_endless(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        ended = update(VendorToken).where(
            VendorToken.sandbox_id == 1, VendorToken.expires_at.is_not(None)
        )
        session.execute(ended.values(expires_at=read(session) - timedelta(seconds=1)))


def test_only_ended_tokens_are_removed(store: SessionFactory, scope: Scope) -> None:
    tokens, vendor = process(store), Vendor()
    keys: list[UUID] = [derived_key(f"credential-{number}") for number in range(3)]
    for key in keys:
        tokens.bearer(scope, key, vendor.mint)
    with unit_of_work(store) as session:
        ended = VendorToken.id == keys[0]
        moment = read(session) - timedelta(seconds=1)
        in_sandbox = VendorToken.sandbox_id == 1
        session.execute(update(VendorToken).where(in_sandbox, ended).values(expires_at=moment))

    with unit_of_work(store) as session:
        token_rows.remove_ended(session, scope, limit=100)

    assert {each.id for each in rows(store)} == set(keys[1:])
