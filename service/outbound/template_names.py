"""Which names a template may use: what no message can have is refused when it is saved."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import TypeAlias

from service.core.errors import InvalidInputError

Names: TypeAlias = Mapping[str, frozenset[str] | None]
"""What there is to name, each with the names below it; ``None`` where those are not known."""
Path: TypeAlias = tuple[str, ...]


def spelled_out(segments: Sequence[object]) -> Path:
    """Return the names of a path up to its first step that is an index or computed."""
    return tuple(str(step) for step in takewhile(lambda step: isinstance(step, str), segments))


def check(paths: Iterable[Path], names: Names) -> None:
    """Let the paths of a template pass when a message can have all of them.

    Raises:
        InvalidInputError: One begins with a name that there is not; ``fields`` has it as
            ``variable``, and the names that there are as ``known``.
    """
    for root, *below in filter(None, paths):
        if root not in names:
            raise _unknown(root, names)
        inner = names[root]
        if inner is not None and below and below[0] not in inner:
            raise _unknown(f"{root}.{below[0]}", {f"{root}.{name}" for name in inner})


def _unknown(name: str, known: Iterable[str]) -> InvalidInputError:
    listed = sorted(known)
    return InvalidInputError(
        f"No message of this action has a variable {name}; there is {', '.join(listed)}.",
        variable=name,
        known=listed,
    )
