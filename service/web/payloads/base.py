"""What every payload has in common: unknown keys are refused, types are not guessed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, pre_load, validate

MOST_PER_PAGE = 200
NOT_AN_OBJECT = "Expected a JSON object."
_SAID = {"type": NOT_AN_OBJECT}
# every character but spaces, controls, and what has no shape of its own (a zero-width space)
_VISIBLE = (
    r"[^\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f"
    r"\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb]"
)
HAS_VISIBLE = validate.Regexp(
    rf"^[^\x00]*{_VISIBLE}[^\x00]*$", error="Needs at least one visible character."
)
ORG_ID = validate.Regexp(
    r"\A[A-Za-z0-9]{1,40}@[A-Za-z0-9]{1,20}\Z",
    error="Expected 1 to 40 letters and digits, `@`, and 1 to 20 more: `EDGEPOST@AdobeOrg`.",
)
Row = TypeVar("Row")


class Payload(Schema):
    """A JSON object whose keys are all known."""

    error_messages = _SAID

    class Meta:
        """Options of marshmallow."""

        unknown = RAISE


class Changes(Payload):
    """What to change of something; some of what it shows cannot be changed, which is said."""

    fixed: ClassVar[frozenset[str]] = frozenset()

    @pre_load
    def refuse_fixed(self, data: Any, **_: Any) -> Any:
        """Tell a key that nobody can change from one that nobody knows."""
        named = sorted(self.fixed & data.keys()) if isinstance(data, dict) else []
        if named:
            raise ValidationError({name: ["Cannot be changed."] for name in named})
        return data


class Flag(fields.Boolean):
    """``true`` or ``false`` and nothing that resembles them."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Not a boolean.")
        return bool(super()._deserialize(value, attr, data, **kwargs))


class Whole(fields.Integer):
    """A whole number; ``5.0`` is one as in JSON Schema, text and booleans are not."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
            raise ValidationError("Not a whole number.")
        whole: Any = super()._deserialize(int(value), attr, data, **kwargs)
        return int(whole)


class Choice(fields.String):
    """One value of an enum, as text outside and as its member inside."""

    def __init__(self, choices: type[StrEnum], **options: Any) -> None:
        options.setdefault("validate", validate.OneOf([each.value for each in choices]))
        super().__init__(**options)
        self._choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        return next((each for each in self._choices if each.value == text), text)


def name_field(length: int = 128, **options: Any) -> fields.String:
    """Return a field for a name that people read, so one that they can see."""
    return fields.String(
        validate=[validate.Length(min=1, max=length), HAS_VISIBLE],
        **options,
    )


@dataclass(frozen=True, slots=True)
class PageArguments:
    """Which part of a list is asked for."""

    limit: int
    after: UUID | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """A part of a list, and where the next part begins."""

    items: Sequence[Row]
    page: "PageInfo"


@dataclass(frozen=True, slots=True)
class PageInfo:
    """``next`` is the ``after`` of the next request, ``None`` at the end."""

    limit: int
    next: UUID | None


class PageArgumentsSchema(Payload):
    """The query of a list."""

    limit = fields.Integer(
        load_default=50,
        validate=validate.Range(1, MOST_PER_PAGE),
        metadata={"description": "The most entries to return."},
    )
    after = fields.UUID(
        load_default=None,
        metadata={"description": "`page.next` of the answer before."},
    )

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> PageArguments:
        """Return the arguments as a value."""
        return PageArguments(**values)


class PageInfoSchema(Payload):
    """Where a list goes on."""

    limit = fields.Integer()
    next = fields.UUID(allow_none=True)


def page_of(
    asked: PageArguments,
    read: Callable[[int], Sequence[Row]],
    key: Callable[[Row], UUID],
) -> Page[Row]:
    """Return one page; ``read`` is given a limit one greater, which tells if more follows."""
    rows = read(asked.limit + 1)
    items = rows[: asked.limit]
    following = key(items[-1]) if len(rows) > asked.limit else None
    return Page(items, PageInfo(asked.limit, following))
