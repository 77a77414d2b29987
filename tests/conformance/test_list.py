"""The 64 cases of the Edge protocol, and who shows each of them.

They were gathered from the tests of the Edge extensions (Android, iOS), of Messaging, of the Web
SDK ("alloy") and of the Roku SDK. A case that concerns a server has a test ``test_case_NN_…``
outside ``tests/mobile_stub``, whose tests show that the stub behaves as the SDKs do.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CASES = range(1, 65)
# cases in which only the client decides, and what about
CLIENTS_OWN = {
    2: "whether an event without XDM is sent",
    4: "which values outlive resetIdentities",
    5: "which answers come too late",
    6: "which hint stands in the next URL",
    7: "when a hint has expired",
    8: "which hints are no hints",
    14: "how long to wait when Retry-After cannot be read; this server never sends such a one",
    27: "what is held while consent is neither yes nor no",
    37: "what is queued until the configuration is known",
    39: "which transport errors are worth a retry",
    40: "what to do with a malformed address",
}
_NAME = re.compile(r"test_case_(\d\d)_(?:and_(\d\d)_)?\w+")


def _shown() -> dict[int, set[str]]:
    """Return where each case has a test, as the first folder under ``tests``."""
    found = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and (name := _NAME.fullmatch(node.name)):
                for number in filter(None, name.groups()):
                    found[int(number)].add(path.relative_to(TESTS).parts[0])
    return found


SHOWN = _shown()


@pytest.mark.parametrize("case", [each for each in CASES if each not in CLIENTS_OWN])
def test_a_case_that_concerns_a_server_is_shown(case: int) -> None:
    assert SHOWN[case] - {"mobile_stub"}, f"write test_case_{case:02d}_… for it"


@pytest.mark.parametrize("case", sorted(CLIENTS_OWN))
def test_a_case_that_concerns_clients_alone_is_shown_of_the_stub(case: int) -> None:
    assert "mobile_stub" in SHOWN[case]


def test_no_test_names_a_case_that_there_is_not() -> None:
    assert set(SHOWN) <= set(CASES)
