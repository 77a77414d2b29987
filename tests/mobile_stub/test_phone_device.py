import random
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_stub import device as devices
from mobile_stub import sdk
from mobile_stub.device import Kind, LocationHint, Platform, StateEntry, new_device

NOW = datetime(2026, 7, 1, 10, 15, 30, 123000, tzinfo=UTC)


@given(seed=st.integers())
def test_an_ecid_has_38_digits(seed: int) -> None:
    ecid = devices.new_ecid(random.Random(seed))

    assert len(ecid) == 38
    assert ecid.isdecimal()


@given(seed=st.integers())
def test_an_ecid_is_the_two_signed_halves_of_a_uuid_without_sign(seed: int) -> None:
    drawn = uuid.UUID(int=random.Random(seed).getrandbits(128), version=4)
    halves = [int.from_bytes(part, signed=True) for part in (drawn.bytes[:8], drawn.bytes[8:])]

    ecid = devices.new_ecid(random.Random(seed))

    assert ecid == "".join(str(abs(half)).zfill(19) for half in halves)


def test_the_same_seed_gives_the_same_phone_and_another_seed_another() -> None:
    phones = [new_device(Kind.IOS, "app", Platform.APNS, seed) for seed in (7, 7, 8)]

    assert phones[0] == phones[1]
    assert phones[0].ecid != phones[2].ecid


def test_draws_of_one_phone_differ_and_can_be_replayed() -> None:
    first = new_device(Kind.ANDROID, "app", Platform.FCM, 1)
    second, one = devices.draw(first)
    _, other = devices.draw(second)
    _, again = devices.draw(first)

    numbers = [source.random() for source in (one, other, again)]

    assert numbers[0] == numbers[2]
    assert numbers[0] != numbers[1]


def test_a_saved_phone_is_read_back_as_it_was(tmp_path: Path) -> None:
    phone = sdk.login(new_device(Kind.IOS, "app", Platform.APNS_SANDBOX, "s"), "C-1")
    phone, _ = sdk.install(phone, "AB12", NOW)
    entry = StateEntry("kndctr_X_identity", "CiY0", 1800, NOW)
    phone = replace(phone, state=(entry,), hint=LocationHint("or2", NOW), resets=3)
    file = tmp_path / "phone.json"

    devices.save(phone, file)

    assert devices.load(file) == phone


def test_a_phone_that_was_never_saved_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        devices.load(tmp_path / "none.json")


def test_an_apns_token_is_upper_case_hex_and_an_fcm_token_is_not() -> None:
    apns = devices.new_token(Platform.APNS, random.Random(1))
    fcm = devices.new_token(Platform.FCM, random.Random(1))

    assert len(bytes.fromhex(apns)) == 32
    assert apns == apns.upper()
    assert fcm[22:30] == ":APA91b" + fcm[29]
