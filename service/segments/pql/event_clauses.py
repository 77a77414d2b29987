"""The ways to say "an event exists", brought to one form before their conditions are read."""

from dataclasses import dataclass, replace

from lark import Token

from service.segments.pql.errors import PqlErrorCode
from service.segments.pql.literals import whole
from service.segments.pql.refusals import refusal
from service.segments.pql.scopes import Frame, is_events
from service.segments.pql.source import Branch, Source, arguments, branches, tokens, ungrouped
from service.segments.pql.syntax import CompareOp

_MOST_STEPS = 6
_MOST_EVENTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Clause:
    """An event clause, its parts not read yet.

    Attributes:
        frame: What names mean inside ``condition``.
        condition: What an event must fit; None means any event.
        when: The tail of its WHEN.
        at_least: How many events must fit.
        second: A second declaration, to be refused after ``condition`` was read.
    """

    frame: Frame
    condition: Branch | None = None
    when: Branch | None = None
    at_least: int = 1
    second: Branch | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """What a comparison with a number of events asks: ``at_least`` events, or their absence."""

    at_least: int
    negated: bool


def of_selection(source: Source, tree: Branch, frame: Frame) -> Clause | None:
    """Return the clause of ``xEvent``, ``xEvent[...]``, ``.filter(...)`` or ``.exists(...)``.

    None when ``tree`` selects no events.
    """
    if is_events(tree):
        return Clause(frame.of_items())
    if tree.data not in {"filter", "method"}:
        return None
    receiver = ungrouped(branches(tree)[0])
    if not is_events(receiver):
        return None
    if tree.data == "filter":
        return Clause(frame.of_items(), branches(tree)[1])
    name = tokens(tree, "FIELD")[0]
    if name not in {"filter", "exists"}:
        return None
    conditions = arguments(tree)
    if len(conditions) != 1:
        raise source.error(PqlErrorCode.ARITY, f"{name} takes one condition", name)
    return Clause(frame.of_items(), conditions[0])


def of_count(source: Source, tree: Branch, frame: Frame) -> Clause | None:
    """Return the clause whose events ``tree`` counts by ``.count()``; None when it does not."""
    if tree.data != "method" or tokens(tree, "FIELD")[0] != "count":
        return None
    receiver = ungrouped(branches(tree)[0])
    if receiver.data == "method" and tokens(receiver, "FIELD")[0] == "exists":
        return None
    clause = of_selection(source, receiver, frame)
    if clause is not None and arguments(tree):
        raise source.error(PqlErrorCode.ARITY, "count takes no argument", tree)
    return clause


def of_quantifier(source: Source, tree: Branch, frame: Frame) -> Clause:
    """Return the clause of ``exists E from xEvent where ...``."""
    if tokens(tree, "QUANTIFIER")[0].lower() != "exists":
        raise refusal(source, tree)
    first, *others = branches(tree)
    over, *conditions = branches(first)
    if not is_events(ungrouped(over)):
        raise source.unsupported("`exists` over an array other than xEvent", over)
    name = str(tokens(first, "DECLARED_NAME")[0])
    later = frozenset(str(tokens(other, "DECLARED_NAME")[0]) for other in others)
    return Clause(
        frame.declaring(name, later - {name}),
        conditions[0] if conditions else None,
        second=others[0] if others else None,
    )


def of_chain(source: Source, tree: Branch, frame: Frame) -> Clause:
    """Return the clause of a chain of one step.

    Source: Experience Platform, audience validation (six steps at most, not all negated).
    """
    over, *steps = branches(tree)
    _check_steps(source, tree, steps)
    if not is_events(ungrouped(over)):
        raise source.unsupported("a chain over an array other than xEvent", over)
    order = tokens(tree, "NAME")[0]
    if order != "timestamp":
        raise source.error(PqlErrorCode.TYPE, "events are ordered by timestamp", order)
    if len(steps) > 1:
        raise source.unsupported("a chain of more than one step", steps[1])
    what, *limits = branches(steps[0])
    clause = Clause(frame.of_items(), what)
    seen: set[str] = set()
    for limit in limits:
        if limit.data in seen:
            message = f"{limit.data.upper()} is given twice"
            raise source.error(PqlErrorCode.PARSE, message, limit)
        seen.add(limit.data)
        clause = _limited(source, clause, limit)
    return clause


def _limited(source: Source, clause: Clause, limit: Branch) -> Clause:
    if limit.data == "when":
        return replace(clause, when=branches(limit)[0])
    if limit.data == "where":
        raise source.unsupported("`WHERE` in a step of a chain", limit)
    if tokens(limit, "COMPARE"):
        raise source.unsupported("`COUNT` with a comparison", limit)
    amount = whole(source, limit)
    return replace(clause, at_least=_possible(source, amount, limit))


def _check_steps(source: Source, tree: Branch, steps: list[Branch]) -> None:
    if len(steps) > _MOST_STEPS:
        message = f"a chain has at most {_MOST_STEPS} steps"
        raise source.error(PqlErrorCode.CHAIN_STEPS, message, steps[_MOST_STEPS])
    labels: set[Token] = set()
    for step in steps:
        label = tokens(step, "NAME")[0]
        if label in labels:
            message = f"the label {label} is used twice"
            raise source.error(PqlErrorCode.CHAIN_LABEL, message, label)
        labels.add(label)
    if all(tokens(step, "STEP_NOT") for step in steps):
        message = "every step of the chain is negated"
        raise source.error(PqlErrorCode.CHAIN_NEGATED, message, tree, "write not (CHAIN(...))")


def counted(source: Source, op: CompareOp, amount: int, at: Branch) -> Count:
    """Return what ``count() <op> amount`` asks.

    Raises:
        PqlError: ``TYPE`` when it is always or never true, ``UNSUPPORTED`` for an exact number.
    """
    match op:
        case CompareOp.GE | CompareOp.LT:
            least = _possible(source, amount, at)
        case CompareOp.GT | CompareOp.LE:
            least = _possible(source, amount + 1, at)
        case _ if amount != 0:
            raise source.unsupported(f"`count() {op.value}` with a number other than 0", at)
        case _:
            least = 1
    return Count(least, negated=op in {CompareOp.LT, CompareOp.LE, CompareOp.EQ})


def _possible(source: Source, least: int, at: Branch) -> int:
    if not 1 <= least <= _MOST_EVENTS:
        message = f"a number of events is compared with 1 to {_MOST_EVENTS}"
        raise source.error(PqlErrorCode.TYPE, message, at, "as written it is always true or false")
    return least
