"""How long a wait lasts, as an author writes it."""

import re
from datetime import timedelta

_ISO_DURATION = re.compile(
    r"P(?:(?P<weeks>\d{1,9})W|(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,9})S)?)?)",
    re.ASCII,
)
_CALENDAR_UNITS = re.compile(r"P\d+[YM]", re.ASCII)
_MOST_SECONDS = 10**13


def parse_duration(value: object) -> timedelta:
    """Return the length of an ISO 8601 duration, or of a whole number of seconds.

    Weeks, days, hours, minutes and whole seconds are known. Years and months are refused:
    their length depends on the day they are counted from.

    Raises:
        ValueError: ``value`` is neither; the message says what is expected.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= _MOST_SECONDS:
            raise ValueError("seconds must be a whole number from 0")
        return timedelta(seconds=value)
    text = value if isinstance(value, str) else ""
    if _CALENDAR_UNITS.match(text):
        raise ValueError("years and months have no fixed length: write days, such as P30D")
    found = _ISO_DURATION.fullmatch(text)
    if found is None or text == "P":
        raise ValueError("expected an ISO 8601 duration such as PT30M, or whole seconds")
    parts = {unit: int(digits) for unit, digits in found.groupdict().items() if digits}
    return timedelta(**parts)
