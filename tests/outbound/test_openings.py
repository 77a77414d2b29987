"""Which tracking events open a message."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from service.outbound.openings import opened_delivery

DELIVERY = uuid4()


def _xdm(launches: Any = 1, message_id: Any = str(DELIVERY)) -> dict[str, Any]:
    execution = {"messageExecution": {"messageID": message_id}}
    return {
        "application": {"launches": {"value": launches}},
        "_experience": {"customerJourneyManagement": execution},
    }


@pytest.mark.parametrize(
    ("event_type", "xdm", "opened"),
    [
        ("pushTracking.applicationOpened", _xdm(), DELIVERY),
        ("pushTracking.customAction", _xdm(), DELIVERY),
        ("pushTracking.customAction", _xdm(launches=0), None),
        ("pushTracking.receive", _xdm(), None),
        ("pushTracking.applicationOpened", _xdm(message_id="m-998"), None),
        ("pushTracking.applicationOpened", _xdm(message_id=7), None),
        ("pushTracking.applicationOpened", {"application": 1, "_experience": []}, None),
        (None, _xdm(), None),
    ],
)
def test_an_open_names_its_delivery(
    event_type: str | None,
    xdm: dict[str, Any],
    opened: UUID | None,
) -> None:
    assert opened_delivery(event_type, xdm) == opened
