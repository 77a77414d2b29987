"""What an answer says in words: why it refuses, and what it warns of.

The SDKs log this and go on; whoever plays a load wants to read it.
"""

import json
from collections.abc import Iterator
from typing import Any

_WARNINGS = b'"warnings"'


def refusal_of(status: int, body: bytes) -> str:
    """Return why a request was refused: the problem's own words, else the beginning of the body."""
    said = next(_objects(body), {})
    words = [str(said[name]) for name in ("title", "detail") if said.get(name)]
    return f"{status} {': '.join(words) or body[:80].decode('latin-1').strip() or 'no words'}"


def warnings_of(body: bytes) -> list[str]:
    """Return the warnings of a success, each with its cause where it names one."""
    if _WARNINGS not in body:
        return []
    listed = [each for part in _objects(body) for each in part.get("warnings") or ()]
    return [_spelled(each) for each in listed if isinstance(each, dict)]


def _spelled(warning: dict[str, Any]) -> str:
    report = warning.get("report")
    cause = report.get("cause") if isinstance(report, dict) else None
    reason = cause.get("message") if isinstance(cause, dict) else None
    return f"{warning.get('title')}: {reason}" if reason else str(warning.get("title"))


def _objects(body: bytes) -> Iterator[dict[str, Any]]:
    """Yield the objects of a plain or framed answer; what is none is passed over."""
    for piece in body.replace(b"\x00", b"\n").splitlines():
        try:
            found = json.loads(piece)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found
