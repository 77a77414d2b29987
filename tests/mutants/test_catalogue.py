"""The catalogue of mutations still fits the code; what it claims is shown by `make mutants`."""

from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]


def test_there_are_at_least_ten_and_each_has_a_name_of_its_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 10


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_replaces_stands_there_once_and_its_test_exists(mutant: Mutant) -> None:
    file, _, test = mutant.test.partition("::")

    assert (ROOT / mutant.path).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new
    assert f"def {test}(" in (ROOT / file).read_text()
