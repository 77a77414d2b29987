"""What a sink is: it takes rows, makes one call of them, and says of each what became of it."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from service.outbound.adapters.sink import DELIVERY_ID
from service.outbound.transport import CallParts, Reply, ReplyKind, Trouble


@dataclass(frozen=True, slots=True)
class SinkRow:
    """One message on its way into a call of many.

    Attributes:
        key: The caller's name for it.
        parts: As it was rendered and signed; the body is the row's JSON document.
    """

    key: Hashable
    parts: CallParts = field(repr=False)

    @property
    def document(self) -> bytes:
        """The row itself."""
        return self.parts.body

    @property
    def delivery_id(self) -> str:
        """The same in every call that it goes with."""
        return self.mark(DELIVERY_ID)

    def mark(self, name: str) -> str:
        """Return what the adapter said of the row under a name; empty if nothing."""
        return next((value for key, value in self.parts.headers if key == name), "")


class Carrier(Protocol):
    """Carries the call of a sink over the guarded transport, while its permit holds."""

    def call(self, parts: CallParts, *, goes_on: bool = False) -> Reply:
        """Make the call; blocks until it ended. It does not start once the permit is over.

        ``goes_on``: it is the second half of the call before, and shares its permit.
        """
        ...

    def may_start(self) -> bool:
        """Tell whether the permit holds now, for a sink that calls nobody."""
        ...


class Sink(Protocol):
    """One destination of rows; used by one thread."""

    def put(self, rows: Sequence[SinkRow], carrier: Carrier) -> Sequence[Reply]:
        """Make at most one call and return for each row, in their order, how it ended for it.

        A row whose reply has ``Trouble.CALL_FULL`` was not acted on and is worth a smaller call.
        """
        ...


def alike(rows: Sequence[SinkRow], reply: Reply) -> list[Reply]:
    """Return one end for all rows."""
    return [replace(reply, key=row.key) for row in rows]


def split(rows: Sequence[SinkRow], reply: Reply) -> list[Reply]:
    """Return the end of rows of which some were too much for one call; a single row is it."""
    if len(rows) == 1:
        return alike(rows, reply)
    full = replace(reply, kind=ReplyKind.NOT_SENT, trouble=Trouble.CALL_FULL)
    return alike(rows, full)


def with_header(reply: Reply, name: str, value: str) -> Reply:
    """Return a reply with a header that its own do not have."""
    line = f"{name}: {value}".encode("latin-1", "replace")
    return replace(reply, headers=(*reply.headers, line))
