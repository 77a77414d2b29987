"""The id of one exchange: the caller's own when it is a plain one, else a new one."""

import re

from service.core.ids import new_key

_PLAIN = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def request_id_of(*given: str | None) -> str:
    """Return the first id that may stand in a header and a log line, or a new id."""
    for each in given:
        if each and _PLAIN.fullmatch(each):
            return each
    return str(new_key())
