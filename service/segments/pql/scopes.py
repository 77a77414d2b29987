"""What a name in a rule refers to.

Inside ``WHAT(...)`` and ``[...]`` a bare name is a field of the event, and a caret goes up to the
profile; ``exists E from xEvent`` leaves bare names with the profile. ``$1`` is the profile
everywhere.
"""

from dataclasses import dataclass

from service.segments.pql.errors import PqlErrorCode
from service.segments.pql.functions import RESERVED
from service.segments.pql.refusals import refusal
from service.segments.pql.source import Branch, Source, branches, span_of, tokens, ungrouped
from service.segments.pql.syntax import Path, Scope

EVENTS = "xEvent"


@dataclass(frozen=True, slots=True)
class Frame:
    """What names mean at one place of a rule.

    Attributes:
        bare: What a name without a prefix starts from.
        above: What one caret, two carets, ... start from; the nearest last.
        variables: Declared names of events.
        later: Names declared further right, not to be used yet.
        in_clause: Whether this place is inside an event clause.
    """

    bare: Scope = Scope.PROFILE
    above: tuple[Scope, ...] = ()
    variables: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()
    in_clause: bool = False

    def of_items(self) -> "Frame":
        """Return the frame inside ``WHAT(...)`` or a filter on events."""
        return Frame(Scope.EVENT, (*self.above, self.bare), self.variables, in_clause=True)

    def declaring(self, name: str, later: frozenset[str]) -> "Frame":
        """Return the frame in which ``name`` is an event."""
        return Frame(self.bare, self.above, self.variables | {name}, later, in_clause=True)


def is_events(tree: Branch) -> bool:
    """Tell whether ``tree`` is the profile's array of events."""
    if tree.data == "name":
        return str(tokens(tree)[0]) == EVENTS
    if tree.data == "field" and str(tokens(tree)[0]) == EVENTS:
        inner = ungrouped(branches(tree)[0])
        return inner.data == "parameter" and str(tokens(inner)[0]) == "$1"
    return False


def path(source: Source, tree: Branch, frame: Frame) -> Path:
    """Return the field that ``tree`` names at a place with ``frame``.

    Raises:
        PqlError: It is no field, or one that cannot be read here.
    """
    names: list[str] = []
    base = tree
    while base.data == "field":
        names.insert(0, _key(str(tokens(base)[0])))
        base = ungrouped(branches(base)[0])
    if is_events(tree) or (names and is_events(base)) or (names and names[0] == EVENTS):
        what = "a dot on xEvent" if names else "xEvent as a value"
        raise source.unsupported(what, tree)
    scope, head = _base(source, base, frame, has_fields=bool(names))
    found = Path(scope, (*head, *names), span_of(tree))
    if not found.names:
        whole = "the whole profile" if scope is Scope.PROFILE else "a whole event"
        raise source.unsupported(f"{whole} as a value", tree)
    if frame.in_clause and scope is Scope.PROFILE:
        raise source.unsupported("a profile field inside an event clause", tree)
    return found


def _base(
    source: Source, base: Branch, frame: Frame, *, has_fields: bool
) -> tuple[Scope, tuple[str, ...]]:
    match base.data:
        case "parameter":
            if str(tokens(base)[0]) != "$1":
                message = "a rule has one parameter, the profile: $1"
                raise source.error(PqlErrorCode.UNBOUND_VAR, message, base)
            return Scope.PROFILE, ()
        case "up":
            carets, field = tokens(base)
            if len(carets) > len(frame.above):
                message = "there is no enclosing filter to go up from"
                raise source.error(PqlErrorCode.UP, message, carets)
            return frame.above[-len(carets)], (_key(str(field)),)
        case "name":
            return _bare(source, base, frame, has_fields=has_fields)
    raise refusal(source, base)


def _bare(
    source: Source, base: Branch, frame: Frame, *, has_fields: bool
) -> tuple[Scope, tuple[str, ...]]:
    name = str(tokens(base)[0])
    if name in frame.variables:
        return Scope.EVENT, ()
    if name in frame.later:
        message = f"{name} is declared further right and cannot be used yet"
        raise source.error(PqlErrorCode.FORWARD_VAR, message, base)
    if name == "null":
        message = "the language has no null"
        raise source.error(PqlErrorCode.NULL, message, base, "use isNull() or isNotNull()")
    if name.lower() in RESERVED:
        message = f"{name} is a reserved word"
        raise source.error(PqlErrorCode.PARSE, message, base, f"write `{name}` in backticks")
    # No field of the standard schemas begins with a capital, and own fields sit under _tenant:
    # such a name before a dot is a variable that somebody forgot to declare.
    if has_fields and name[0].isupper():
        message = f"{name} is not declared and not a field"
        hint = f"for a field of that name write `{name}` in backticks"
        raise source.error(PqlErrorCode.UNBOUND_VAR, message, base, hint)
    return frame.bare, (_key(name),)


def _key(name: str) -> str:
    return name[1:-1] if name.startswith("`") else name.removeprefix("xdm:")
