"""The functions and methods that PQL has; nothing else exists in Adobe's language.

Source: Experience Platform, Segmentation Service, PQL function pages; the query editor's own output
(``stringCompare``).
"""

from collections.abc import Iterable
from difflib import get_close_matches

METHODS = frozenset(
    {
        "startsWith",
        "doesNotStartWith",
        "endsWith",
        "doesNotEndWith",
        "contains",
        "doesNotContain",
        "equals",
        "notEqualTo",
        "matches",
        "regexGroup",
        "includes",
        "intersects",
        "intersection",
        "subsetOf",
        "supersetOf",
        "distinct",
        "groupBy",
        "filter",
        "map",
        "exists",
        "topN",
        "bottomN",
        "head",
        "count",
        "sum",
        "average",
        "min",
        "max",
        "get",
        "keys",
        "values",
        "isNull",
        "isNotNull",
        "getMonth",
        "getYear",
        "getDayOfMonth",
    }
)
FUNCTIONS = frozenset(
    {
        "if",
        "stringCompare",
        "currentMonth",
        "currentYear",
        "currentDayOfMonth",
        "date",
        "inSegment",
        "mapEntry",
    }
)
OPERATORS_WITH_CASE = frozenset({"notIn", "occursIgnoringYear"})

# Words that begin something else, so that no path can begin with them unquoted.
RESERVED = frozenset(
    {
        "and",
        "or",
        "not",
        "in",
        "notin",
        "like",
        "matches",
        "occurs",
        "between",
        "on",
        "select",
        "exists",
        "forall",
        "let",
        "if",
        "true",
        "false",
        "chain",
        "now",
        "today",
        "yesterday",
        "tomorrow",
        "this",
        "last",
        "next",
        "before",
        "after",
        "from",
        "xevent",
        "millisecond",
        "milliseconds",
        "second",
        "seconds",
        "minute",
        "minutes",
        "hour",
        "hours",
        "day",
        "days",
        "week",
        "weeks",
        "month",
        "months",
        "year",
        "years",
        "decade",
        "decades",
        "century",
        "centuries",
        "millennium",
        "millenniums",
        "millenium",
        "millennia",
    }
)


def same_but_for_case(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that differs from ``name`` in case only, or None."""
    return next((right for right in known if right.lower() == name.lower() and right != name), None)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like ``name``, or None when nothing is like it."""
    return next(iter(get_close_matches(name[:64], sorted(known), n=1)), None)
