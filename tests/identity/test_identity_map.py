"""Which values name somebody and which name nobody."""

import pytest

from service.identity.identity_map import read_identity_map, refusal

OF_ADOBE = ["null", "anonymous", "invalid", "", " "]
OF_OTHERS = ["-1", "0", "anon", "nil", "<nil>", "none", "n/a", "na", "undefined", "unknown"]
OF_OTHERS += ["true", "false", "{}", "[]", "[object Object]", "NaN", "None"]
OF_OTHERS += ["guest", "not_authenticated", "distinct_id", "distinctid", "id", "email"]
ZEROES = ["000", "0-0", "--", "0.0", "00000000-0000-0000-0000-000000000000", "0" * 38]
PEOPLE = ["1", "-2", "10", "007", "a", "N", "null@example.com", "Anna", "none-1", "0.5", "o'neill"]


@pytest.mark.parametrize("value", [*OF_ADOBE, *OF_OTHERS, *ZEROES])
def test_a_value_that_stands_for_nobody_is_junk(value: str) -> None:
    spellings = [value, value.upper(), value.title(), f" {value}\t", f'"{value}"', f" '{value}'"]

    assert {refusal("CRMID", each) for each in spellings} == {"junkIdentity"}


@pytest.mark.parametrize("value", PEOPLE)
def test_a_value_that_only_resembles_junk_is_somebody(value: str) -> None:
    assert refusal("CRMID", value) is None


def test_junk_is_left_out_and_the_rest_stays() -> None:
    claimed, refused = read_identity_map({"CRMID": [{"id": "-1"}, {"id": "C-1"}]})

    assert [each.value for each in claimed] == ["C-1"]
    assert [(each.value, each.reason) for each in refused] == [("-1", "junkIdentity")]
