"""How a vendor spells a failure: its code, the status that comes with it, and the body."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import NamedTuple

from mobile_stub.gateway_faults import Fault, FaultKind
from mobile_stub.gateway_http import JSON

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>"
_BAD_GATEWAY = 502
_USUAL_STATUS = 400


class Refusal(NamedTuple):
    """A refusal before it has the form of an HTTP version."""

    status: int
    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The failures of one vendor.

    Attributes:
        words: The code that a scripted failure has here.
        statuses: The status of each code; one that is not among them is 400.
        spell: Makes the body from status, code and fault.
        headers: More headers of a refusal, made from its code.
    """

    words: Mapping[FaultKind, str]
    statuses: Mapping[str, int]
    spell: Callable[[int, str, Fault], bytes]
    content_type: str = JSON
    headers: Callable[[str], tuple[tuple[str, str], ...]] = field(default=lambda _code: ())

    def refusal(self, fault: Fault) -> Refusal | None:
        """Return what is said in place of the usual answer, ``None`` when that one stays."""
        waiting = _retry_after(fault)
        if fault.kind is FaultKind.BAD_GATEWAY:
            return Refusal(_BAD_GATEWAY, _HTML, "text/html", waiting)
        code = self.words.get(fault.kind)
        if fault.kind is FaultKind.REFUSED:
            code = fault.code
        if code is None:
            return None
        status = fault.status or self.statuses.get(code, _USUAL_STATUS)
        body = self.spell(status, code, fault)
        return Refusal(status, body, self.content_type, (*self.headers(code), *waiting))


def _retry_after(fault: Fault) -> tuple[tuple[str, str], ...]:
    if fault.retry_after_date_s is not None:
        moment = datetime.now(UTC) + timedelta(seconds=fault.retry_after_date_s)
        return (("Retry-After", format_datetime(moment, usegmt=True)),)
    return () if fault.retry_after is None else (("Retry-After", fault.retry_after),)
