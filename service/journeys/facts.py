"""Fetches what plans ask for, set-based: truths of expressions, profile paths, interactions.

An expression over the profile goes through the segments' own evaluation. One that also reads what
the run carries (``context.``) is the same compiled expression over a document that holds both: the
merged attributes and, under ``context``, the run's.
Source: Journey Optimizer, condition activity and journey properties.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Select, literal_column, select, text
from sqlalchemy.orm import Session

from service.core.ids import sorted_keys
from service.core.json import JsonObject, encode_text
from service.db.statements import INTEGER, JSON_OBJECT, KEY, SetStatement
from service.db.types import JsonType
from service.journeys.conditions import Facts, FactsWanted
from service.outbound import kept_interactions
from service.outbound.deliveries import delivery_key
from service.outbound.interactions import Interaction
from service.sandboxes.scope import Scope
from service.segments import evaluation
from service.segments.compiler import Compiler, clauses
from service.segments.fields import engine_of
from service.segments.pql.printer import render
from service.segments.pql.syntax import Exists
from service.segments.programs import EVENT, rule_of

CONTEXT = "context"
_ATTRIBUTES = SetStatement(
    """
    SELECT p.id, p.attributes FROM profile AS p
    WHERE p.sandbox_id = :sandbox_id AND p.id IN (SELECT r.id FROM {r})
    """,
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"id": KEY, "attributes": JSON_OBJECT},
)
_ROWS = {
    "postgresql": "jsonb_array_elements(CAST(:rows AS jsonb)) AS r(value)",
    "sqlite": "json_each(:rows) AS r",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What one plan of an instance wants to know, of which person, if any is known."""

    wanted: FactsWanted
    instance_id: UUID
    profile_id: UUID | None
    context: JsonObject


def fetch(session: Session, scope: Scope, asked: Sequence[Asked], *, now: datetime) -> list[Facts]:
    """Return what was wanted, in the order of ``asked``.

    Of somebody whom no profile stands for, every expression is false and every path ``None``. The
    number of statements depends on how many different conditions are asked, not on the people.

    Raises:
        PqlError: An expression cannot be used as written; a published one can.
    """
    attributes = _attributes(session, scope, asked)
    results: list[dict[str, bool]] = [
        dict.fromkeys(each.wanted.expressions, False) for each in asked
    ]
    by_texts: dict[tuple[str, ...], list[int]] = {}
    for place, each in enumerate(asked):
        if each.profile_id is not None and each.wanted.expressions:
            by_texts.setdefault(each.wanted.expressions, []).append(place)
    for texts, places in sorted(by_texts.items()):
        of_profile = tuple(text for text in texts if not reads_context(text))
        of_both = tuple(text for text in texts if reads_context(text))
        people = {place: asked[place] for place in places}
        judged = [*_judge_profiles(session, scope, of_profile, people, now)]
        judged += _judge_documents(session, scope, of_both, people, attributes, now)
        for place, truths in judged:
            results[place].update(truths)
    done = _interactions(session, scope, asked)
    return [
        Facts(
            result,
            _values(each.wanted.paths, attributes.get(each.profile_id, {})),
            {
                node: done.get((each.instance_id, node), frozenset())
                for node in each.wanted.messages
            },
        )
        for each, result in zip(asked, results, strict=True)
    ]


def reads_context(expression: str) -> bool:
    """Tell whether a rule reads what the run carries."""
    return any(names[0] == CONTEXT for names in rule_of(expression).reads.profile_paths)


def _interactions(
    session: Session,
    scope: Scope,
    asked: Iterable[Asked],
) -> Mapping[tuple[UUID, str], frozenset[Interaction]]:
    """Return what was done with messages, by instance and node."""
    places = {
        delivery_key(each.instance_id, node): (each.instance_id, node)
        for each in asked
        for node in each.wanted.messages
    }
    if not places:
        return {}
    found = kept_interactions.read(session, scope, places)
    return {places[key]: seen for key, seen in found.items()}


def _attributes(
    session: Session,
    scope: Scope,
    asked: Iterable[Asked],
) -> Mapping[UUID | None, JsonObject]:
    """Return the merged views that are needed whole."""
    keys = sorted_keys(
        each.profile_id
        for each in asked
        if each.profile_id is not None
        and (each.wanted.paths or any(map(reads_context, each.wanted.expressions)))
    )
    if not keys:
        return {}
    rows = _ATTRIBUTES.run(session, {"sandbox_id": scope.sandbox_id}, r=[(key,) for key in keys])
    return {row.id: row.attributes for row in rows}


def _values(paths: Iterable[str], attributes: JsonObject) -> dict[str, Any]:
    found = {}
    for path in paths:
        value: Any = attributes
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        found[path] = value
    return found


def _judge_profiles(
    session: Session,
    scope: Scope,
    texts: tuple[str, ...],
    people: Mapping[int, Asked],
    now: datetime,
) -> Iterable[tuple[int, dict[str, bool]]]:
    if not texts:
        return
    profiles = {each.profile_id for each in people.values() if each.profile_id is not None}
    truths = evaluation.truths(session, scope, texts, profiles, now=now)
    for place, each in people.items():
        if each.profile_id in truths:
            yield place, dict(zip(texts, truths[each.profile_id], strict=True))


def _judge_documents(
    session: Session,
    scope: Scope,
    texts: tuple[str, ...],
    people: Mapping[int, Asked],
    attributes: Mapping[UUID | None, JsonObject],
    now: datetime,
) -> Iterable[tuple[int, dict[str, bool]]]:
    """Judge rules over documents; their event clauses are judged before, on the profiles."""
    if not texts:
        return
    happened = _clauses(texts)
    clause_texts = tuple(render(clause) for clause in happened)
    truths = dict(_judge_profiles(session, scope, clause_texts, people, now))
    rows = []
    for place, each in people.items():
        if each.profile_id in attributes:
            document = {**attributes[each.profile_id], CONTEXT: each.context}
            known = truths.get(place, {})
            counts = {
                f"c{index}": clause.at_least if known.get(clause_texts[index]) else 0
                for index, clause in enumerate(happened)
            }
            rows.append((place, document, counts))
    statement = _over_documents(session.get_bind().dialect.name, texts)
    for row in session.execute(statement, {"rows": encode_text(rows)}):
        yield row[0], dict(zip(texts, row[1:], strict=True))


def _clauses(texts: Iterable[str]) -> list[Exists]:
    return list(dict.fromkeys(each for text in texts for each in clauses(rule_of(text).expression)))


@lru_cache(maxsize=256)
def _over_documents(dialect: str, texts: tuple[str, ...]) -> Select[Any]:
    """Return the statement that judges rules over rows of (place, document, event counts)."""
    compiler = Compiler(engine_of(dialect), literal_column("(r.value -> 1)", JsonType), EVENT)
    counted = literal_column("(r.value -> 2)", JsonType)
    counts = {
        clause: count
        for index, clause in enumerate(_clauses(texts))
        if (count := compiler.engine.field(counted, [f"c{index}"]).number) is not None
    }
    columns: list[Any] = [literal_column("CAST(r.value ->> 0 AS integer)", Integer())]
    columns += [compiler.condition(rule_of(each).expression, counts) for each in texts]
    return select(*columns).select_from(text(_ROWS[dialect]))
