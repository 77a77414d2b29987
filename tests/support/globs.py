"""A naive reading of wildcards, written from their meaning and not from our code."""

from itertools import product


def is_named(glob: str, word: str) -> bool:
    """Tell whether a glob, whose ``*`` is any characters, stands for a word."""
    if not glob:
        return not word
    if glob[0] == "*":
        return is_named(glob[1:], word) or (bool(word) and is_named(glob, word[1:]))
    return word[:1] == glob[0] and is_named(glob[1:], word[1:])


def words(longest: int) -> list[str]:
    """Return every word of two letters up to a length."""
    return ["".join(word) for length in range(longest + 1) for word in product("ab", repeat=length)]
