"""The scope that every feature function takes first."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """One sandbox, as a value: what a statement may see and touch.

    Attributes:
        sandbox_id: The leading column of every scoped table.
        sandbox: Its name, as ``x-sandbox-name`` spells it.
    """

    sandbox_id: int
    sandbox: str
