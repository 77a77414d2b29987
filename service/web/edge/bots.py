"""Whose events are marked as a bot's, as Adobe's bot detection marks them: kept, and told apart.

What counts is the ``User-Agent`` of whoever sends to version 1. Phones and players are known by
their SDK, and a server that proves who it is speaks for people; neither is looked up.

Source: Adobe Experience Platform, "Configure bot detection for datastreams" (``botDetection.score``
is 1, nothing is dropped, authenticated requests are not judged); the list is the package
``crawler-user-agents``.
"""

from functools import lru_cache
from typing import Any

import crawleruseragents

from service.web.edge.clients import ClientKind
from service.web.edge.target import EdgeTarget

SCORE = 1
_KEY = "botDetection"
_MOST_AGENTS = 4096
_MOST_READ = 512
_JUDGED = frozenset({ClientKind.WEB, ClientKind.SERVER})


def is_bot(client: ClientKind, target: EdgeTarget) -> bool:
    """Tell whether a request comes from a known robot, crawler or script."""
    agent = target.sender.user_agent
    return client in _JUDGED and not target.is_server and _is_listed(agent[:_MOST_READ])


def mark(xdm: dict[str, Any]) -> None:
    """Say of an event that a bot sent it, whatever the event says of itself."""
    said = xdm.get(_KEY)
    xdm[_KEY] = {**(said if isinstance(said, dict) else {}), "score": SCORE}


@lru_cache(_MOST_AGENTS)
def _is_listed(agent: str) -> bool:
    return bool(crawleruseragents.is_crawler(agent))
