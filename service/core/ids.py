"""Keys: time-sortable ones for new rows, derived ones for facts that name themselves."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from uuid import UUID, uuid5

from uuid_utils import compat


def new_key() -> UUID:
    """Return a UUIDv7: later keys sort after earlier ones."""
    return compat.uuid7()


def first_key_at(moment: datetime) -> UUID:
    """Return the least key that ``new_key`` can give at a moment: earlier rows sort before it."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62)


@lru_cache(maxsize=16_384)
def derived_key(*parts: str) -> UUID:
    """Return the key that a fact has by its own content, the same in every process.

    A batch asks for the same keys many times over, so the latest are remembered.

    A writer knows it without a look-up, and its primary key is its uniqueness. 122 bits of
    BLAKE2b under a UUIDv8 mark; parts are length-prefixed, so no two lists collide by joining.

    Source: service/decisions/0006-derived-keys.md.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(4, "big"))
        digest.update(data)
    number = int.from_bytes(digest.digest(), "big")
    number = number & ~(0xF << 76) | (0x8 << 76)
    number = number & ~(0x3 << 62) | (0x2 << 62)
    return UUID(int=number)


def minted_event_id(source: UUID, request_id: str, index: int) -> str:
    """Return the ``_id`` of an event that came without one; a retry mints the same.

    Source: alloy sends no ``_id`` and repeats ``requestId`` and body on a retry.
    """
    return str(uuid5(source, f"{request_id}:{index}"))


def parse_key(text: str) -> UUID | None:
    """Return the key that ``text`` spells, or ``None`` when it spells none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def sorted_keys(keys: Iterable[UUID]) -> list[UUID]:
    """Return distinct keys in lock order."""
    return sorted(set(keys))
