"""What every sink's adapter shares: a message is a row, a JSON document among others in one call.

What ``render`` returns is one row: its document is the body, and what the sink itself must know of
it stands in headers that are never sent. A sink of ``service.outbound.sinks`` makes a call of many
rows, and says of each what became of it.

A row carries the delivery's id, since a third party that took a call and did not answer gets the
row again where the action allows it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from typing import Any, ClassVar

from service.core import json
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound.adapters.contract import (
    ActionSpec,
    MessageContext,
    refuse_unknown_setting,
    variable_names,
    variables,
)
from service.outbound.egress import AddressGuard, Resolver
from service.outbound.outcomes import Outcome, classify
from service.outbound.template_names import Names
from service.outbound.templating import TemplateError, check_tree, render_json
from service.outbound.transport import CallParts, Headers, HttpVersion, Reply

DELIVERY_ID = "Delivery-Id"
JSON_TYPE = ("Content-Type", "application/json")
LONGEST_WAIT_MS = 20_000
_ID_SETTING = "idField"
_ID_FIELD = "id"


@dataclass(frozen=True, slots=True)
class SinkLimits:
    """How large a call of many rows may be, and how long rows wait for each other.

    A row waits at most ``wait_s``; no wait keeps it longer than a second or two where there are
    rows enough.
    """

    rows: int
    call_bytes: int
    row_bytes: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a sink takes unless the settings say otherwise, and the most that they may say."""

    rows: tuple[int, int]
    call_bytes: tuple[int, int]
    row_bytes: tuple[int, int]
    wait_ms: int

    @property
    def named(self) -> Mapping[str, tuple[int, int, int]]:
        """Return the settings by name: least, default and most."""
        return {
            "maxRows": (1, *self.rows),
            "maxBytes": (1, *self.call_bytes),
            "maxRowBytes": (1, *self.row_bytes),
            "maxWaitMs": (0, self.wait_ms, LONGEST_WAIT_MS),
        }


class SinkAdapter(ABC):
    """A third party that takes many messages in one call.

    Attributes:
        bounds: What calls hold.
        own: The settings that only this one has, each with its JSON Schema.
        templates: Those of them that are templates.
        takes_headers: Whether an action may set headers of its calls.
        comes_again: Whether a row in doubt goes again whatever the action says of duplicates.
    """

    name: ClassVar[str]
    bounds: ClassVar[Bounds]
    needs_token: ClassVar[bool] = False
    platforms: ClassVar[frozenset[str]] = frozenset()
    http_version: ClassVar[HttpVersion] = HttpVersion.HTTP_1_1
    own: ClassVar[Mapping[str, JsonObject]] = {}
    templates: ClassVar[frozenset[str]] = frozenset()
    comes_again: ClassVar[bool] = False
    takes_headers: ClassVar[bool] = False

    @property
    def setting_descriptions(self) -> Mapping[str, JsonObject]:
        """Its own settings, and those of every sink."""
        about = {
            "maxRows": "Rows in one call at most.",
            "maxBytes": "Bytes of all rows in one call at most.",
            "maxRowBytes": "Bytes of one row at most; a longer one fails.",
            "maxWaitMs": "How long rows wait for others to go with.",
        }
        bounds = {
            name: {
                "type": "integer",
                "minimum": least,
                "default": usual,
                "maximum": most,
                "description": about[name],
            }
            for name, (least, usual, most) in self.bounds.named.items()
        }
        identity = {
            "type": ["string", "boolean"],
            "default": _ID_FIELD,
            "description": (
                "The field of a row that carries the delivery's id, where the payload does not "
                "have it; `false` for none. By it a row that came twice is known."
            ),
        }
        return {**self.own, **bounds, _ID_SETTING: identity}

    def limits(self, settings: Mapping[str, Any]) -> SinkLimits:
        """Return how large calls may be."""
        found = [settings.get(name, usual) for name, (_, usual, _) in self.bounds.named.items()]
        rows, call_bytes, row_bytes, wait_ms = found
        return SinkLimits(rows, call_bytes, row_bytes, wait_ms / 1000)

    def check(
        self, action: ActionSpec, guard: AddressGuard, resolve: Resolver | None = None
    ) -> None:
        """Refuse an action that could not be sent for anyone.

        Raises:
            InvalidInputError: Settings, payload or authentication are wrong, or a library is not
                installed.
        """
        refuse_unknown_setting(self, action.settings, frozenset(self.setting_descriptions))
        names = variable_names(self)
        for name, (least, _, most) in self.bounds.named.items():
            check_number(action.settings, name, least, most)
        field = action.settings.get(_ID_SETTING, True)
        if not isinstance(field, str | bool) or field == "":
            raise InvalidInputError(
                f"{_ID_SETTING} is the name of a field, or false for none.",
                at=f"settings.{_ID_SETTING}",
            )
        for name in sorted(self.templates & action.settings.keys()):
            text_of(action.settings, name)
            check_tree(action.settings[name], names, at=f"settings.{name}")
        if action.headers and not self.takes_headers:
            raise InvalidInputError(f"The adapter {self.name} takes no headers.", at="headers")
        if not isinstance(action.payload, Mapping):
            raise InvalidInputError("The payload must be an object: a row's fields.", at="payload")
        self.check_own(action, names)
        target = self.target(action).url
        if not target.startswith(FOLDER_URL):
            guard.check_url(target, resolve)
        check_tree(action.payload, names)

    def render(self, action: ActionSpec, context: MessageContext, *, now: datetime) -> CallParts:
        """Return one row.

        Raises:
            TemplateError: A variable is missing, or the row is too long.
        """
        values = variables(context)
        row = self.row(action, values)
        document = self.document(action, row, values, context.created_at or now)
        body = json.encode(document)
        longest = self.limits(action.settings).row_bytes
        if len(body) > longest:
            raise TemplateError(f"The row has {len(body)} bytes; at most {longest} are taken.")
        target = self.target(action)
        known = (DELIVERY_ID, str(context.delivery_id))
        headers = (*target.headers, known, *self.marks(action, values))
        return CallParts(target.method, target.url, headers, body)

    def read(self, reply: Reply, *, now: datetime) -> Outcome:
        """Return what became of a row."""
        return classify(self.name, reply, now=now)

    def row(self, action: ActionSpec, values: JsonObject) -> JsonObject:
        """Return a row's own fields, with the delivery's id."""
        if action.parameters and action.payload == {}:
            fields = values["parameters"]
        else:
            fields = render_json(action.payload, values)
        name = id_field(action.settings)
        if name is None or name in fields:
            return dict(fields)
        return {name: values["delivery"]["id"], **fields}

    def document(
        self,
        action: ActionSpec,  # noqa: ARG002 - for sinks that wrap rows
        row: JsonObject,
        values: JsonObject,  # noqa: ARG002 - as above
        created_at: datetime,  # noqa: ARG002 - as above
    ) -> JsonObject:
        """Return what is written for a row."""
        return row

    def marks(self, action: ActionSpec, values: JsonObject) -> Headers:  # noqa: ARG002 - for sinks that need some
        """Return what the sink must know of a row besides."""
        return ()

    @abstractmethod
    def target(self, action: ActionSpec) -> CallParts:
        """Return the call that rows go with, without rows."""

    @abstractmethod
    def check_own(self, action: ActionSpec, names: Names) -> None:
        """Refuse settings and authentication that only this sink knows."""


FOLDER_URL = "https://folder.invalid/"
"""Stands for a folder of the operator's where limits are looked up; nobody can be called by it."""


def id_field(settings: Mapping[str, Any]) -> str | None:
    """Return the field that carries the delivery's id, ``None`` for none."""
    wanted = settings.get(_ID_SETTING, True)
    return _ID_FIELD if wanted is True else wanted or None


def text_of(settings: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return a setting that is a text.

    Raises:
        InvalidInputError: It is not, or it is missing and there is no default.
    """
    found = settings.get(name, default)
    if not isinstance(found, str) or not found:
        raise InvalidInputError(f"settings.{name} must be a text.", at=f"settings.{name}")
    return found


def check_number(settings: Mapping[str, Any], name: str, least: int, most: int) -> None:
    """Refuse a setting that is no whole number, too small or too large.

    Raises:
        InvalidInputError: It is.
    """
    found = settings.get(name, least)
    if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
        raise InvalidInputError(f"{name} must be {least} to {most}.", at=f"settings.{name}")


def check_choice(settings: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    """Return a setting that is one of some texts; the first when it is left out.

    Raises:
        InvalidInputError: It is another.
    """
    found = settings.get(name, choices[0])
    if found not in choices:
        raise InvalidInputError(
            f"{name} must be one of {', '.join(choices)}.", at=f"settings.{name}"
        )
    return str(found)


def need_library(adapter: str, module: str, extra: str) -> None:
    """Refuse an action whose library is not installed.

    Raises:
        InvalidInputError: It is not; the message says what to run.
    """
    try:
        is_there = find_spec(module) is not None
    except ModuleNotFoundError:  # the package above it is missing
        is_there = False
    if not is_there:
        raise InvalidInputError(
            f"The adapter {adapter} needs {module}, which is not installed: run "
            f"pip install 'edgepost[{extra}]' where edgepost runs."
        )
