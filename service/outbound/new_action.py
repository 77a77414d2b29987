"""A custom action as its author writes it, and what every adapter asks of it alike."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.core import json
from service.core.errors import InvalidInputError
from service.outbound import action_parameters, token_choice
from service.outbound.action_parameters import Parameters
from service.outbound.adapters.registry import calls_written_url, get_adapter
from service.outbound.answer_fields import parse_answers
from service.outbound.follow_up import OnBacklog, OnUnknown

MAX_TIMEOUT_MS = 30_000
MAX_RETRIES = 3
MAX_PAYLOAD_BYTES = 256 * 1024
_NAME = re.compile(r"[A-Za-z0-9_]{1,30}")


@dataclass(frozen=True, slots=True)
class NewAction:
    """An action as its author writes it; ``auth`` and ``connection`` may hold secrets.

    ``settings`` are the adapter's own and ``appId`` and ``platform``, which choose among a person's
    push tokens; without them the newest token of any app is taken. An adapter that needs no token
    has neither.
    """

    name: str
    adapter: str
    url: str = ""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    payload: Any = field(default_factory=dict)
    parameters: Parameters = ()
    answers: Mapping[str, Any] = field(default_factory=dict)
    auth: Any = field(default_factory=lambda: {"type": "none"}, repr=False)
    connection: Any = field(default=None, repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)
    timeout_ms: int = MAX_TIMEOUT_MS
    max_retries: int = MAX_RETRIES
    on_unknown: OnUnknown = OnUnknown.RECORD
    on_backlog: OnBacklog = OnBacklog.SEND
    is_marketing: bool = True


def check(new: NewAction) -> None:
    """Refuse what no adapter need be asked about.

    Raises:
        InvalidInputError: The name, a limit, a parameter, a mapped field or the choice of a token.
    """
    if not _NAME.fullmatch(new.name):
        raise InvalidInputError("A name is 1 to 30 letters, digits and underscores.", at="name")
    if not 1 <= new.timeout_ms <= MAX_TIMEOUT_MS:
        raise InvalidInputError(f"timeoutMs must be 1 to {MAX_TIMEOUT_MS}.", at="timeoutMs")
    if not 0 <= new.max_retries <= MAX_RETRIES:
        raise InvalidInputError(f"maxRetries must be 0 to {MAX_RETRIES}.", at="maxRetries")
    if new.query and not calls_written_url(new.adapter):
        raise InvalidInputError(
            f"The adapter {new.adapter} finds its own URL and takes no query.", at="query"
        )
    size = len(json.encode(new.payload))
    if size > MAX_PAYLOAD_BYTES:
        raise InvalidInputError(
            f"The payload has {size} bytes; at most {MAX_PAYLOAD_BYTES} are taken.", at="payload"
        )
    action_parameters.check(new.parameters)
    parse_answers(new.answers)
    token_choice.check(new.adapter, get_adapter(new.adapter).platforms, new.settings)
