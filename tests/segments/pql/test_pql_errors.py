"""What is refused, under which code, and where the caret points."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.errors import InvalidInputError
from service.segments.pql.errors import PqlError
from service.segments.pql.parser import parse
from service.segments.pql.syntax import Span

SEVEN_STEPS = ", ".join(f"{label}: WHAT({label.lower()} = 1)" for label in "ABCDEFG")


def refused(text: str) -> PqlError:
    with pytest.raises(PqlError) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ('homeAddress.country == "DE"', "PQL-PARSE", '= "DE"'),
        ("homeAddress.country = 'DE'", "PQL-LEX-QUOTE", "'DE'"),
        ("homeAddress.country = “DE”", "PQL-LEX-QUOTE", "“DE”"),
        ('homeAddress.country = "DE', "PQL-LEX-QUOTE", '"DE'),
        ('(homeAddress.country = "DE"', "PQL-PARSE", ""),
        ('homeAddress..country = "DE"', "PQL-PARSE", '.country = "DE"'),
        ('homeAddress.country = "DE" and', "PQL-PARSE", ""),
        ("1990 < person.birthYear < 2000", "PQL-PARSE", "< 2000"),
        ('person.gender in ["male", "female"', "PQL-PARSE", ""),
        ("person.birthYear not in [1990, 1991]", "PQL-PARSE", "not in [1990, 1991]"),
        ("loyalty.joinDate occurs <= days before now", "PQL-PARSE", "days before now"),
        (
            "loyalty.joinDate occurs <= 3 fortnights before now",
            "PQL-PARSE",
            "fortnights before now",
        ),
        ("loyalty.joinDate occurs <= -3 days before now", "PQL-PARSE", "-3 days before now"),
        ("loyalty.joinDate occurs between date(2024, 1, 1)", "PQL-PARSE", ""),
        (
            'CHAIN(xEvent, [C0: WHAT(eventType = "login")])',
            "PQL-PARSE",
            '[C0: WHAT(eventType = "login")])',
        ),
        ("CHAIN(xEvent, timestamp, [])", "PQL-PARSE", "])"),
        ("CHAIN(xEvent, timestamp, [C0: WHEN(today)])", "PQL-PARSE", "WHEN(today)])"),
        ("homeAddress.country = null", "PQL-NULL", "null"),
        ("loyalty.joinDate occurs on date(2024, 2, 30)", "PQL-DATE", "date(2024, 2, 30)"),
        ('person.name.firstName > 3 + "x"', "PQL-TYPE", '"x"'),
        ('X.eventType = "login"', "PQL-UNBOUND-VAR", 'X.eventType = "login"'),
        (
            'exists A from xEvent where B.eventType = "login", B from xEvent',
            "PQL-FORWARD-VAR",
            'B.eventType = "login", B from xEvent',
        ),
        (
            f"CHAIN(xEvent, timestamp, [{SEVEN_STEPS}])",
            "PQL-CHAIN-STEPS",
            "G: WHAT(g = 1)])",
        ),
        ("inSegment(42)", "PQL-TYPE", "inSegment(42)"),
        ('loyalty.points.startsWith("1")', "PQL-UNSUPPORTED", 'startsWith("1")'),
        ('^tier = "gold"', "PQL-UP", '^tier = "gold"'),
        ('person.name.lastName.matches("(")', "PQL-UNSUPPORTED", 'matches("(")'),
        (
            'CHAIN(xEvent, timestamp, [A: WHAT(eventType = "a"), A: WHAT(eventType = "b")])',
            "PQL-CHAIN-LABEL",
            'A: WHAT(eventType = "b")])',
        ),
        (
            'CHAIN(xEvent, timestamp, [not A: WHAT(eventType = "a")])',
            "PQL-CHAIN-NEGATED",
            'CHAIN(xEvent, timestamp, [not A: WHAT(eventType = "a")])',
        ),
        ("person.birthDate.getQuarter() = 2", "PQL-UNKNOWN-FUNCTION", "getQuarter() = 2"),
        ("a notin [1]", "PQL-KEYWORD-CASE", "notin [1]"),
        ('a.Equals("x")', "PQL-KEYWORD-CASE", 'Equals("x")'),
        ("a && b", "PQL-LEX-CHAR", "&& b"),
        ('a = "\\d"', "PQL-LEX-CHAR", '\\d"'),
        ('a = "b\0"', "PQL-LEX-CHAR", '\0"'),
        ('a = "\\ud800"', "PQL-LEX-CHAR", '"\\ud800"'),
        ("a.isNull(1)", "PQL-ARITY", "isNull(1)"),
        ("a.equals(5)", "PQL-TYPE", "5)"),
        ('a < "b"', "PQL-TYPE", '"b"'),
        ("a = 9223372036854775808", "PQL-TYPE", "9223372036854775808"),
        ("1 = 2", "PQL-TYPE", "1 = 2"),
        ('"x"', "PQL-TYPE", '"x"'),
        ("today = 1", "PQL-UNSUPPORTED", "today = 1"),
        ("day = 1", "PQL-PARSE", "day = 1"),
        ("xEvent[timestamp occurs tomorrow]", "PQL-WINDOW", "xEvent[timestamp occurs tomorrow]"),
        (
            "xEvent[timestamp occurs < 0 days before now]",
            "PQL-WINDOW",
            "< 0 days before now]",
        ),
        (
            "xEvent[timestamp occurs today and timestamp occurs yesterday]",
            "PQL-WINDOW",
            "xEvent[timestamp occurs today and timestamp occurs yesterday]",
        ),
        ("xEvent[a].count() >= 0", "PQL-TYPE", "xEvent[a].count() >= 0"),
        ("", "PQL-PARSE", ""),
    ],
)
def test_a_wrong_rule_is_refused_at_its_place(text: str, code: str, at: str) -> None:
    error = refused(text)

    assert isinstance(error, InvalidInputError)
    assert (error.code, text[error.start :]) == (code, at)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('a like "x%"', "`like`"),
        ('a matches "x"', "`matches`"),
        ('a.contains("x")', "`contains()`"),
        ("a + 1 > 2", "arithmetic with `+`"),
        ("a * 2 > 2", "arithmetic with `*`"),
        ("if(a, b, c)", "`if()`"),
        ("(P) => P.a = 1", "`(...) =>`"),
        ("let k = a in (k > 1)", "`let ... in`"),
        ('"x" in a', "`in` with anything but a list of constants"),
        ("a in [b]", "anything but a constant in a list"),
        ("a = [1]", "a list outside of `in`"),
        ('a = {"b": c}', "an object `{...}`"),
        ('a.get("b")', "`get()`"),
        ("a[b]", "a filter `[...]` on anything but xEvent"),
        ("a[b].count() > 1", "`count()` other than of events and compared with a number"),
        ('inSegment("x")', "`inSegment()`"),
        ("a occurs today", "`occurs` on anything but the timestamp of an event"),
        ("a occursIgnoringYear today", "`occursIgnoringYear`"),
        ("xEvent[timestamp occurs != 3 days before now]", "`occurs !=`"),
        ("xEvent[timestamp occurs after a]", "a field or a step as a point of time"),
        ("xEvent[timestamp occurs on date(2024, a, 1)]", "an expression in `date()`"),
        ("xEvent[timestamp = 5]", "`timestamp` outside of `occurs`"),
        ("xEvent[a = ^.b]", "a profile field inside an event clause"),
        ("exists E from xEvent where E.a = b", "a profile field inside an event clause"),
        ("exists E from xEvent where E", "a whole event as a value"),
        ("exists I from orders where I.a = 1", "`exists` over an array other than xEvent"),
        ("exists A from xEvent, B from xEvent", "a second declaration after a comma"),
        ("xEvent[a] and xEvent[b]", "a second event clause"),
        ("xEvent[a and not xEvent[b]]", "an event clause inside an event clause"),
        ("xEvent[a].count() = 2", "`count() =` with a number other than 0"),
        ("xEvent[a].count() > b", "a count compared with anything but a number"),
        ("xEvent.a > 0", "a dot on xEvent"),
        ("forall E from xEvent where E.a", "`forall ... from`"),
        ("select E from xEvent where E.a", "`select ... from`"),
        ("(sum E.a over E from xEvent) > 5", "`sum … over`"),
        ("xEvent[a].sum(b) > 5", "`sum()`"),
        (
            "CHAIN(xEvent, timestamp, [A: WHAT(a), B: WHAT(b)])",
            "a chain of more than one step",
        ),
        ("CHAIN(orders, timestamp, [A: WHAT(a)])", "a chain over an array other than xEvent"),
        ("CHAIN(xEvent, timestamp, [A: WHAT(a) WHERE(b)])", "`WHERE` in a step of a chain"),
        ("CHAIN(xEvent, timestamp, [A: WHAT(a) COUNT(>= 2)])", "`COUNT` with a comparison"),
    ],
)
def test_what_the_language_has_and_we_do_not_is_refused_by_name(text: str, name: str) -> None:
    error = refused(text)

    assert (error.code, error.message) == ("PQL-UNSUPPORTED", f"{name} is not supported yet")


def test_the_caret_stands_under_the_fault() -> None:
    text = 'a = 1 and\n\tb == "x"\nand c'

    error = refused(text)

    assert (error.line, error.column) == (2, 5)
    assert error.caret(text) == ' b == "x"\n    ^'
    assert error.hint == "equality is a single ="
    assert error.fields["range"] == {"start": 14, "end": 15, "line": 2, "column": 5}


def test_a_long_line_is_cut_around_its_fault() -> None:
    text = "a = 1 and " * 50 + "b == 2 " + "and a = 1 " * 50

    shown, caret = refused(text).caret(text).split("\n")

    assert len(shown) < 130
    assert shown[caret.index("^") - 3 :].startswith("b == 2")


@pytest.mark.parametrize(
    "text",
    [
        "a and " * 300 + "a",
        "a = 1" + " " * 20_000,
        "(" * 200 + "a" + ")" * 200,
        "not " * 41 + "a",
        "a" + ".b" * 41,
        "a in [" + "1," * 1_000 + "1]",
        "a in [" + "1," * 9_000 + "1]",
        "[" * 100_000,
        "a and " * 16_000 + "a",
        "ä" * 15_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_rule_beyond_the_limits_is_refused_as_too_complex(text: str) -> None:
    assert refused(text).code == "PQL-COMPLEXITY"


@pytest.mark.parametrize(
    "text",
    [
        "a and " * 299 + "a",
        "a = 1" + " " * 19_995,
        "(" * 40 + "a" + ")" * 40,
        "not " * 39 + "a",
        "a in [" + ",".join(str(number) for number in range(1_000)) + "]",
    ],
    ids=lambda text: text[:12],
)
def test_a_rule_at_the_limits_is_read(text: str) -> None:
    rule = parse(text)

    assert rule.span.end > 0


WORDS = (
    *("a", ".b", '"x"', "5", "and", "or", "not", "in", "notIn", "(", ")", "[", "]", ",", "=", "<"),
    *("-", "xEvent", "exists E from", "where", "E.a", "timestamp", "occurs", "today", "<= 3 days"),
    *("before now", "CHAIN(", "C0: WHAT(", "WHEN(", "COUNT(", ".count()", "let", "forall"),
    *("sum", "over", "=>", "$1", "^", "date(2024,1,1)", "{", "}", ":"),
)
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join),
)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_any_text_is_read_or_refused_within_its_range(text: str) -> None:
    found = error_or_range(text)

    assert 0 <= found.start <= found.end <= len(text)


def error_or_range(text: str) -> PqlError | Span:
    try:
        return parse(text).span
    except PqlError as error:
        return error
