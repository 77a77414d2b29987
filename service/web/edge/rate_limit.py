"""How many requests of one datastream are answered in a second.

The limit is that of one machine's ``edgepost web``: each of its WEB_CONCURRENCY processes answers
an equal share and asks nobody. Requests do not reach the processes quite evenly, so a little less
than the limit may be answered, and never more than one second's burst above it. What is refused is
not lost: phones send it again for ever and in order, the Web SDK three times.

Source: Edge Network API, "Performance guardrails" (Adobe counts per organisation); Edge
``EdgeNetworkService`` and alloy ``createNetworkStrategy``, which retry a 429.
"""

import math
from dataclasses import dataclass
from threading import Lock
from uuid import UUID

import structlog

from service.core.clock import Clock
from service.flows.sources import DatastreamSource
from service.web.edge.errors import TooManyRequestsError

_LOG = structlog.get_logger("service.web.edge")
_TELL_EVERY_S = 1.0
# a whole token, as far as adding up its parts can tell
_ONE = 1 - 1e-9


@dataclass(slots=True)
class _Bucket:
    """What one datastream may still ask of this process.

    Attributes:
        tokens: Requests that may be answered at once, as of ``at`` (monotonic seconds).
        untold: Refusals that no line of the log counts yet.
    """

    tokens: float
    at: float
    told_at: float = -math.inf
    untold: int = 0


class RateLimit:
    """Counts the requests of this process, for datastreams that have a limit; others cost nothing.

    Refusals are counted in the log, for each datastream at most once a second.
    """

    def __init__(self, clock: Clock, processes: int) -> None:
        self._clock = clock
        self._processes = processes
        self._buckets: dict[UUID, _Bucket] = {}
        self._lock = Lock()

    def admit(self, source: DatastreamSource) -> None:
        """Return when one more request may be answered now.

        Raises:
            TooManyRequestsError: 429; it says after how many whole seconds one may be.
        """
        limit = source.settings.requests_per_second
        if limit is None:
            return
        per_s = limit / self._processes
        most = max(1.0, per_s)
        now = self._clock.monotonic()
        with self._lock:
            bucket = self._buckets.setdefault(source.id, _Bucket(most, now))
            bucket.tokens = min(most, bucket.tokens + (now - bucket.at) * per_s)
            bucket.at = now
            is_admitted = bucket.tokens >= _ONE
            if is_admitted:
                bucket.tokens -= 1
            else:
                bucket.untold += 1
            missing = 1 - bucket.tokens
            refused = _to_tell(bucket, now)
        if refused:
            _LOG.warning("edge_rate_limited", datastream=str(source.id), refused=refused)
        if not is_admitted:
            raise TooManyRequestsError(math.ceil(missing / per_s), limit)


def _to_tell(bucket: _Bucket, now: float) -> int:
    """Return how many refusals a line of the log is due for now."""
    if not bucket.untold or now - bucket.told_at < _TELL_EVERY_S:
        return 0
    refused, bucket.untold, bucket.told_at = bucket.untold, 0, now
    return refused
