"""Attribute documents merge by their leaves."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.profiles.leaves import leaves, merged, said

NAMES = st.sampled_from(["a", "b", "a/b", "~", ""])
DOCUMENTS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.none() | st.integers(0, 3) | st.just([]),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
).filter(lambda value: isinstance(value, dict))  # type: ignore[assignment]


def test_a_field_said_later_wins_and_the_others_stay() -> None:
    first, stamps = said({}, {}, {"city": "Bonn", "name": {"first": "Ada", "last": "L"}}, 1)

    second, _ = said(first, stamps, {"city": "Köln", "name": {"last": "M"}}, 2)

    assert second == {"city": "Köln", "name": {"first": "Ada", "last": "M"}}


def test_null_removes_a_leaf_and_its_empty_branch_keeps_a_stamp() -> None:
    attributes, stamps = said({}, {}, {"a": {"b": 1}}, 1)

    gone, after = said(attributes, stamps, {"a": {"b": None}}, 2)

    assert (gone, after) == ({"a": {}}, {"/a": 2})


def test_merging_leaves_what_was_said_untouched() -> None:
    record: dict[str, Any] = {"a": {}}

    document = merged([(1, "/a", record["a"]), (2, "/a/b", 2)])

    assert (document, record) == ({"a": {"b": 2}}, {"a": {}})


@given(st.lists(DOCUMENTS, max_size=4))
def test_every_leaf_of_a_fragment_has_a_stamp(records: list[dict[str, Any]]) -> None:
    attributes: dict[str, Any] = {}
    stamps: dict[str, int] = {}
    for at, record in enumerate(records, start=1):
        attributes, stamps = said(attributes, stamps, record, at)

    assert {pointer for pointer, _ in leaves(attributes)} == stamps.keys()


@given(DOCUMENTS)
def test_saying_the_same_again_changes_nothing_but_stamps(record: dict[str, Any]) -> None:
    once, stamps = said({}, {}, record, 1)

    again, _ = said(once, stamps, record, 2)

    assert again == once
