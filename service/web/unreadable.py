"""Says what is wrong with a body that is not JSON, and where."""

import re

_WHERE = re.compile(r"(?:JSON is malformed: )?(?P<problem>.*) \(byte (?P<at>\d+)\)", re.DOTALL)
_TRUNCATED = "Input data was truncated"


def fault_of(body: bytes, error: Exception) -> str:
    """Return the fault that msgspec found, with its line and column, both counted from 1.

    Nothing of the body is repeated: it may hold tokens.
    """
    said = str(error)
    if not body.strip():
        return "the body is empty"
    found = _WHERE.fullmatch(said)
    if found is not None:
        return f"{found['problem']} at {_place(body, int(found['at']))}"
    if said == _TRUNCATED:
        return f"it ends too early, at {_place(body, len(body))}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return said


def _place(body: bytes, at: int) -> str:
    before = body[:at]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
    return f"line {line}, column {column}"
