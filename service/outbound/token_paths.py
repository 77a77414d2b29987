"""Where a token stands in an answer, as Journey Optimizer spells it: ``json://token.value``.

Source: Journey Optimizer, external data sources, "Custom authentication mode".
"""

import re
from typing import Any

from service.outbound.auth_fields import Fields

WHOLE = "response"
"""The whole answer is the token."""

_JSON = "json://"
_STEP = re.compile(r"([^.\[\]]+)|\[(\d{1,4})\]")
_PATH = re.compile(r"[^.\[\]]+(\[\d{1,4}\])*(\.[^.\[\]]+(\[\d{1,4}\])*)*")


def read_path(fields: Fields, name: str) -> str:
    """Return ``response``, or the path that a field names, without its ``json://``.

    Raises:
        InvalidInputError: It is neither.
    """
    text = fields.text(name)
    if text == WHOLE:
        return text
    path = text.removeprefix(_JSON)
    if path == text or not _PATH.fullmatch(path):
        raise fields.wrong(name, "is response, or a path such as json://token.value")
    return path


def found_at(document: Any, path: str) -> Any:
    """Return what stands at a path, ``None`` when nothing does."""
    for name, index in _STEP.findall(path):
        if name:
            document = document.get(name) if isinstance(document, dict) else None
        else:
            is_there = isinstance(document, list) and int(index) < len(document)
            document = document[int(index)] if is_there else None
    return document
