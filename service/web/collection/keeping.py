"""Messages of one request into the store: by the piece of a batch, each with its own outcome.

Each piece is one unit for the committer. When the store refuses a piece, its messages are tried
one by one, so that the guilty one does not take its neighbours along.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from service.core.errors import RefusedDataError, StoreUnavailableError
from service.flows.sources import InletSource
from service.profiles.incoming import IncomingEvent, IncomingRecord, IncomingRequest, Kept
from service.web.collection.messages import (
    Arrival,
    Fact,
    MessageError,
    names_nobody,
    read_message,
)

PIECE = 64
KEPT = 200
REFUSED = 400
REFUSED_BY_STORE = 422
TRY_AGAIN = 503


class Commits(Protocol):
    """Keeps requests."""

    def submit(self, request: IncomingRequest) -> Kept:
        """Return when the request is committed."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message; ``error`` is set when it was refused before the store."""

    status: int
    reason: str = ""
    error: MessageError | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages that arrived together."""

    source: InletSource
    request_id: str
    received_at: datetime
    messages: Sequence[bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Readable:
    """A message that was read; ``index`` is its place in the request."""

    index: int
    fact: Fact
    raw: bytes = field(repr=False)


def keep(committer: Commits, delivery: Delivery) -> list[Outcome]:
    """Keep what can be kept and return one outcome per message, in their order.

    Raises:
        StoreUnavailableError: Nothing was kept. When a part was, the rest is marked 503 instead.
    """
    outcomes: dict[int, Outcome] = {}
    readable: list[_Readable] = []
    for index, raw in enumerate(delivery.messages):
        arrival = Arrival(delivery.request_id, index, delivery.received_at)
        try:
            readable.append(_Readable(index, read_message(raw, delivery.source, arrival), raw))
        except MessageError as error:
            outcomes[index] = Outcome(REFUSED, error.reason, error)
    try:
        for piece in _pieces(readable):
            outcomes.update(_keep_piece(committer, delivery, piece))
    except StoreUnavailableError:
        if not any(each.status == KEPT for each in outcomes.values()):
            raise
    later = Outcome(TRY_AGAIN, "The service is temporarily unavailable. Please try again later.")
    return [outcomes.get(index, later) for index in range(len(delivery.messages))]


def _keep_piece(
    committer: Commits, delivery: Delivery, piece: Sequence[_Readable]
) -> Iterator[tuple[int, Outcome]]:
    try:
        kept = committer.submit(_request(delivery, piece))
    except RefusedDataError as error:
        if len(piece) == 1:
            yield piece[0].index, Outcome(REFUSED_BY_STORE, error.detail)
            return
        for each in piece:
            yield from _keep_piece(committer, delivery, (each,))
    else:
        yield from ((each.index, Outcome(KEPT)) for each in piece)
        yield from _nameless(piece, kept)


def _nameless(piece: Sequence[_Readable], kept: Kept) -> Iterator[tuple[int, Outcome]]:
    """Yield what the store left out because the sandbox has none of its namespaces."""
    events = [each for each in piece if isinstance(each.fact, IncomingEvent)]
    records = [each for each in piece if isinstance(each.fact, IncomingRecord)]
    left_out = [events[at] for at in kept.nameless_events]
    left_out += [records[at] for at in kept.nameless_records]
    for each in left_out:
        refused = [f"{one.namespace}: {one.reason}" for one in each.fact.refused]
        unknown = [f"{one.namespace}: unknownNamespace" for one in each.fact.identities]
        error = names_nobody([*refused, *unknown])
        yield each.index, Outcome(REFUSED, error.reason, error)


def _request(delivery: Delivery, piece: Sequence[_Readable]) -> IncomingRequest:
    """Return a piece as one request; only a lone message brings the body that quarantine keeps."""
    return IncomingRequest(
        delivery.source,
        f"{delivery.request_id}:{piece[0].index:06d}",
        delivery.received_at,
        tuple(each.fact for each in piece if isinstance(each.fact, IncomingEvent)),
        tuple(each.fact for each in piece if isinstance(each.fact, IncomingRecord)),
        body=piece[0].raw if len(piece) == 1 else b"",
    )


def _pieces(readable: Sequence[_Readable]) -> Iterator[Sequence[_Readable]]:
    for start in range(0, len(readable), PIECE):
        yield readable[start : start + PIECE]
