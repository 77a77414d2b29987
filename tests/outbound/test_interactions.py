"""Which tracking events say what of which delivery."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.outbound.interactions import (
    EVENT_TYPES,
    Interaction,
    InteractionKind,
    read_interaction,
)

DELIVERY = uuid4()
OPENED = Interaction(InteractionKind.OPENED, opens_app=True)
DISMISSED = Interaction(InteractionKind.DISMISSED)
RECEIVED = Interaction(InteractionKind.RECEIVED)


def button(action_id: str | None, *, opens_app: bool = False) -> Interaction:
    return Interaction(InteractionKind.CUSTOM_ACTION, action_id, opens_app)


def xdm(launches: Any = 1, message_id: Any = str(DELIVERY), action: Any = None) -> dict[str, Any]:
    tracking = {"pushProvider": "fcm", "pushProviderMessageID": "0:1%2"}
    return {
        "pushNotificationTracking": tracking | ({} if action is None else {"customAction": action}),
        "application": {"launches": {"value": launches}},
        "_experience": {
            "customerJourneyManagement": {"messageExecution": {"messageID": message_id}},
        },
    }


@pytest.mark.parametrize(
    ("event_type", "told", "meant"),
    [
        ("pushTracking.applicationOpened", xdm(), OPENED),
        ("pushTracking.receive", xdm(0), RECEIVED),
        ("pushTracking.customAction", xdm(0, action={"actionID": "Dismiss"}), DISMISSED),
        (
            "pushTracking.customAction",
            xdm(1, action={"actionID": "Buy now"}),
            button("Buy now", opens_app=True),
        ),
        ("pushTracking.customAction", xdm(0, action={"actionID": "LATER"}), button("LATER")),
        (
            "pushTracking.customAction",
            xdm(1, action={"actionID": "Dismiss"}),
            button("Dismiss", opens_app=True),
        ),
        ("pushTracking.customAction", xdm(0), button(None)),
        ("pushTracking.customAction", xdm(0, action={"actionID": 5}), button(None)),
        ("pushTracking.customAction", xdm(0, action="Buy"), button(None)),
        (
            "pushTracking.customAction",
            xdm(0, action={"actionID": "x" * 300}),
            button("x" * 255),
        ),
    ],
)
def test_an_event_says_what_was_done(
    event_type: str, told: dict[str, Any], meant: Interaction
) -> None:
    assert read_interaction(event_type, told) == (DELIVERY, meant)


@pytest.mark.parametrize(
    ("event_type", "told"),
    [
        (None, xdm()),
        ("commerce.purchases", xdm()),
        ("pushTracking.applicationopened", xdm()),
        ("pushTracking.applicationOpened", xdm(message_id="m-998")),
        ("pushTracking.applicationOpened", xdm(message_id=7)),
        ("pushTracking.applicationOpened", {"application": 1, "_experience": []}),
        ("pushTracking.applicationOpened", {}),
    ],
)
def test_an_event_of_another_kind_or_message_says_nothing(
    event_type: str | None, told: dict[str, Any]
) -> None:
    assert read_interaction(event_type, told) is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*xdm(), "customAction", "actionID", "messageID"]), inner)
    ),
    max_leaves=8,
)


@given(
    event_type=st.sampled_from(sorted(set(EVENT_TYPES.values()))),
    changed=st.dictionaries(st.sampled_from(list(xdm())), ANYTHING),
)
def test_whatever_a_device_sends_is_read_or_passed_over(
    event_type: str, changed: dict[str, Any]
) -> None:
    found = read_interaction(event_type, xdm() | changed)

    assert found is None or isinstance(found[0], UUID)
    assert found is None or found[1].action_id is None or len(found[1].action_id) <= 255
