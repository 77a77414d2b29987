"""Letters without their case, by one rule on both engines and whatever the database's locale.

``lower()`` of a database depends on its locale (PostgreSQL) or knows ASCII only (SQLite). Here a
letter stands for its lower case when that is one letter; ``İ`` therefore stands for itself, and no
letter's neighbours matter.
"""

from functools import cache

# Beyond the second plane of Unicode no letter has a case.
_LAST = 0x1FFFF


@cache
def letters() -> tuple[str, str]:
    """Return all letters beyond ASCII that have a lower case, and those, place by place."""
    pairs = [
        (letter, letter.lower())
        for letter in map(chr, range(0x80, _LAST + 1))
        if letter.isupper() or letter.istitle()
    ]
    kept = [(upper, lower) for upper, lower in pairs if len(lower) == 1 and lower != upper]
    return "".join(upper for upper, _ in kept), "".join(lower for _, lower in kept)


def fold(text: str) -> str:
    """Return ``text`` without case; it keeps its length."""
    if text.isascii():
        return text.lower()
    return text.translate(_table())


@cache
def _table() -> dict[int, str]:
    upper, lower = letters()
    beyond = {ord(letter): small for letter, small in zip(upper, lower, strict=True)}
    return {ord(letter): letter.lower() for letter in map(chr, range(0x80))} | beyond
