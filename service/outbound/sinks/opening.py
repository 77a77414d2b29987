"""Which sink carries an action's rows; its library is imported when it is first used."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import structlog

from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.registry import row_limits
from service.outbound.sinks.contract import Carrier, Sink, SinkRow, alike
from service.outbound.sinks.lane import RowCarrier, SinkLane
from service.outbound.transport import (
    Lane,
    LaneOptions,
    OnStart,
    Reply,
    ReplyKind,
    Transport,
    Trouble,
)

_LOG = structlog.get_logger("service.outbound.sinks")
_PACKAGE = "service.outbound.sinks"


class _NoSink:
    """Stands in where a library is missing: nothing can be sent."""

    def put(self, rows: Sequence[SinkRow], carrier: Carrier) -> Sequence[Reply]:  # noqa: ARG002 - the contract's
        """Return that nothing was sent."""
        return alike(rows, Reply(None, ReplyKind.NOT_SENT, trouble=Trouble.MALFORMED))


def open_lane(
    transport: Transport,
    action: ActionSpec,
    options: LaneOptions,
    on_start: OnStart,
    *,
    folder: Path | None,
) -> Lane:
    """Return a lane for an action: one of rows if it is a sink's, else the transport's own.

    Args:
        transport: Carries whatever leaves.
        action: Whose calls they are.
        options: How it connects.
        on_start: Asked for each row before its call.
        folder: The sandbox's own for files; ``None`` where the operator allows none.
    """
    limits = row_limits(action.adapter, action.settings)
    if limits is None:
        return transport.open_lane(options, on_start)
    return SinkLane(_open(action, folder), limits, RowCarrier(transport, options, on_start))


def _open(action: ActionSpec, folder: Path | None) -> Sink:
    try:
        return _sink(action, folder)
    except ImportError as error:
        _LOG.error("sink_library_missing", adapter=action.adapter, library=error.name)
        return _NoSink()


def _sink(action: ActionSpec, folder: Path | None) -> Sink:
    sink: Sink
    match action.adapter:
        case "batchPost":
            sink = import_module(f"{_PACKAGE}.batch_post").BatchPostSink(action)
        case "kinesis":
            sink = import_module(f"{_PACKAGE}.kinesis").KinesisSink(action)
        case "eventGrid":
            sink = import_module(f"{_PACKAGE}.event_grid").EventGridSink(action)
        case _ if "bucket" in action.settings:
            sink = import_module(f"{_PACKAGE}.bucket").BucketSink(action)
        case _:
            sink = import_module(f"{_PACKAGE}.file").FolderSink(action, folder)
    return sink
