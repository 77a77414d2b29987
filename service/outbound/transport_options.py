"""How a lane of an action connects: what its adapter speaks, and how its destination is reached."""

from typing import Final

from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.registry import get_adapter, row_limits
from service.outbound.transport import HttpVersion, LaneOptions

STREAMS: Final = 64
"""Calls over one HTTP/2 connection at most; a server may allow fewer."""

_IDLE_S: Final = {HttpVersion.HTTP_1_1: 10.0, HttpVersion.HTTP_2: 600.0}


def lane_options(action: ActionSpec, connections: int) -> LaneOptions:
    """Return the options of a lane of an action that may hold ``connections`` connections.

    A sink's calls go one at a time over one connection; what counts there is the rows of a call.
    """
    version = get_adapter(action.adapter).http_version
    proxy = action.connection.proxy
    rows = row_limits(action.adapter, action.settings)
    streams = STREAMS if version is HttpVersion.HTTP_2 else 1
    return LaneOptions(
        slots=connections,
        http_version=version,
        streams=streams if rows is None else rows.rows,
        proxy=None if proxy is None else proxy.reveal(),
        certificate=action.connection.certificate,
    )


def connections_for(action: ActionSpec, calls: int) -> int:
    """Return how many connections a lane wants to have ``calls`` calls in the air."""
    if row_limits(action.adapter, action.settings) is not None:
        return 1
    version = get_adapter(action.adapter).http_version
    return -(-calls // STREAMS) if version is HttpVersion.HTTP_2 else calls


def idle_s(action: ActionSpec) -> float:
    """Return for how many idle seconds a lane keeps its connections.

    Apple asks for connections that stand for hours, and takes opening and closing them again and
    again for an attack. Source: Apple, Sending notification requests to APNs.
    """
    return _IDLE_S[get_adapter(action.adapter).http_version]
