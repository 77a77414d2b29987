from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import InvalidInputError
from service.outbound.templating import (
    TemplateError,
    check_tree,
    compile_template,
    render_json,
    render_text,
)

ANN: dict[str, Any] = {
    "profile": {
        "name": "Ann",
        "age": 41,
        "score": 1.5,
        "vip": True,
        "mail": None,
        "tags": ["a", "b"],
        "home": {"city": "Graz"},
    },
    "big": "a" * 2000,
}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{{ profile.age }}", 41),
        ("{{profile.score}}", 1.5),
        ("{{ profile.vip }}", True),
        ("{{ profile.mail }}", None),
        ("{{ profile.tags }}", ["a", "b"]),
        ("{{ profile.home }}", {"city": "Graz"}),
        ("{{ profile.home.city }}", "Graz"),
        ("{{ profile.tags[1] }}", "b"),
        ("{{ profile.tags.size }}", 2),
        ("{{- profile.age -}}", 41),
        ("{{ profile.age | plus: 1 }}", 42),
        ("{{ profile.nickname | default: 7 }}", 7),
        (" {{ profile.age }}", " 41"),
        ("Hi {{ profile.name }} of {{ profile.home.city }}!", "Hi Ann of Graz!"),
        ("{{ profile.name }}{{ profile.age }}{{ profile.mail }}", "Ann41"),
        ("{{ profile.name | upcase }}", "ANN"),
        ("{% if profile.vip %}yes{% endif %}", "yes"),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ 9 | times: 99999999999999999999 }}", "899999999999999999991"),
    ],
)
def test_a_leaf_that_is_one_expression_keeps_its_type_and_all_else_is_text(
    template: str, value: object
) -> None:
    rendered = render_json(template, ANN)

    assert (rendered, type(rendered)) == (value, type(value))


def test_a_tree_keeps_its_shape_and_the_given_tree_its_content() -> None:
    tree = {"to": "{{ profile.name }}", "n": [1, None, True, {"{{ key }}": "{{ profile.age }}"}]}

    assert render_json(tree, ANN) == {"to": "Ann", "n": [1, None, True, {"{{ key }}": 41}]}
    assert tree["to"] == "{{ profile.name }}"


def test_a_value_with_markup_is_data_and_never_a_template() -> None:
    mean = {"profile": {"name": '{{ secret }}", "admin": "true'}}

    assert render_json({"n": "{{ profile.name }}"}, mean) == {"n": mean["profile"]["name"]}


@pytest.mark.parametrize(
    ("template", "variable"),
    [
        ("{{ profile.nickname }}", "profile.nickname"),
        ("Hi {{ profile.nickname }}", "profile.nickname"),
        ("{{ order.id }}", "order"),
        ("{{ profile.mail.domain }}", "profile.mail.domain"),
        ("{{ profile.name.__class__ }}", "profile.name.__class__"),
        ("{{ profile.nickname | upcase }}", "profile.nickname"),
        ("{% if profile.nickname == 'x' %}{% endif %}", "profile.nickname"),
    ],
)
def test_a_missing_variable_is_an_error_that_names_it(template: str, variable: str) -> None:
    with pytest.raises(TemplateError, match=f"The variable {variable} is not there") as caught:
        render_json(template, ANN)

    assert caught.value.fields == {"variable": variable}


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ profile.name", "not a valid template"),
        ("{% if %}", "not a valid template"),
        ("{% if profile.vip %}", "not a valid template"),
        ("{% nothing %}", "not a valid template"),
        ("{% include 'x' %}", "unexpected tag 'include'"),
        ("{% render 'x' %}", "unexpected tag 'render'"),
        ("{{ profile.name | shout }}", "no filter shout"),
        ("x" * 70_000, "at most 65536"),
    ],
)
def test_what_is_no_template_is_refused_when_it_is_saved(template: str, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        compile_template(template)


def test_a_refused_leaf_is_named_by_its_place() -> None:
    with pytest.raises(InvalidInputError, match=r"payload\.a\[1\]\.b: ") as caught:
        check_tree({"a": ["ok", {"b": "{{ x"}]})

    assert caught.value.fields == {"at": "payload.a[1].b"}


def test_a_tree_nested_too_deep_is_refused() -> None:
    tree: Any = "leaf"
    for _ in range(100):
        tree = [tree]

    with pytest.raises(InvalidInputError, match="deeper than"):
        check_tree(tree)


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in (1..1000000000) %}x{% endfor %}",
        "{% for i in (1..5000) %}{% for j in (1..5000) %}{% endfor %}{% endfor %}",
        "{% assign a = 'aaaa' %}{% for i in (1..99) %}{% assign a = a | append: a %}{% endfor %}",
        "{{ big | append: big " + "| base64_encode " * 200 + "}}",
        "{{ big " + "| replace: 'a', big " * 5 + "}}",
        "{{ big | split: '' | join: big }}",
        "{% for i in (1..100) %}{{ big }}{% endfor %}",
        "{{ 9 " + "| times: 99999999999999999999 " * 400 + "}}",
        "{{ 1 | divided_by: 0 }}",
    ],
)
def test_a_template_that_would_eat_time_or_memory_is_stopped(template: str) -> None:
    with pytest.raises(TemplateError, match="could not be rendered"):
        render_json(template, ANN)


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ("x" * 5_000_000, "at most 65536"),
        ({"a": "{% for i in (1..1000000000) %}x{% endfor %}"}, r"payload\.a: .* loop iteration"),
        ("{% for i in (1..9) %}{% tablerow j in (1..9999) %}{% endtablerow %}{% endfor %}", "loop"),
        (
            "{% assign a = 'aa' %}{% for i in (1..99) %}{% assign a = a | append: a %}{% endfor %}",
            "never be rendered",
        ),
        (["{% for i in profile.a %}{% endfor %}"] * 51, "51 loops; .* may have 50"),
    ],
)
def test_what_would_never_end_is_refused_at_once_when_it_is_saved(tree: Any, says: str) -> None:
    started = perf_counter()

    with pytest.raises(InvalidInputError, match=says):
        check_tree(tree, {"profile": None})

    assert perf_counter() - started < 0.1


@pytest.mark.parametrize(
    "template",
    [
        "{% for tag in profile.tags %}{{ tag.name | upcase }}{% endfor %}",
        "{% for i in (1..100) %}{{ i }}{% endfor %}",
        "{% if profile.n > 3 %}{{ 6 | divided_by: profile.n }}{% endif %}",
        "{% assign a = profile.a | times: 3 %}{{ 1 | divided_by: a }}",
    ],
)
def test_what_only_some_people_lack_is_no_reason_to_refuse_a_template(template: str) -> None:
    check_tree(template, {"profile": None})


@given(st.text(alphabet=st.characters(exclude_characters="{}"), max_size=200))
def test_text_without_braces_renders_as_itself(text: str) -> None:
    assert render_text(text, {}) == text


@given(name=st.text(), before=st.text(alphabet="ab {", max_size=5).filter(lambda t: "{" not in t))
def test_a_value_appears_unchanged_in_the_text_around_it(name: str, before: str) -> None:
    assert render_text(before + "{{ profile.name }}!", {"profile": {"name": name}}) == (
        f"{before}{name}!"
    )


def test_the_same_text_is_parsed_once() -> None:
    assert compile_template("Hi {{ a }}") is compile_template("Hi {{ a }}")
