import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web.edge.tokens import UPDATE_TOKEN
from tests.support.edge_world import DOCUMENTED, World
from tests.support.wire import JSON_VALUES

PATHS = (
    "/ee/v1/interact",
    "/ee/v1/collect",
    "/ee/v1/privacy/set-consent",
    "/ee/v1/identity/acquire",
    "/ee/va/v1/ping",
)


@pytest.mark.parametrize("path", PATHS)
@given(JSON_VALUES)
def test_any_json_has_a_documented_answer(path: str, document: Any) -> None:
    world = World()

    reply = world.post(json.dumps(document).encode(), path=path)

    assert reply.status in DOCUMENTED
    assert (reply.status < 300) or world.committer.requests == []


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "meta": JSON_VALUES,
            "query": JSON_VALUES,
            "xdm": st.fixed_dictionaries({}, optional={"identityMap": JSON_VALUES}),
            "events": st.lists(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "meta": JSON_VALUES,
                        "query": JSON_VALUES,
                        "xdm": st.fixed_dictionaries(
                            {},
                            optional={
                                "_id": JSON_VALUES,
                                "timestamp": JSON_VALUES | st.datetimes().map(str),
                                "eventType": JSON_VALUES | st.just(UPDATE_TOKEN),
                                "identityMap": JSON_VALUES,
                                "implementationDetails": JSON_VALUES,
                            },
                        ),
                        "data": st.fixed_dictionaries(
                            {},
                            optional={
                                "pushNotificationDetails": JSON_VALUES,
                                "liveActivityPushNotificationDetails": JSON_VALUES,
                                "liveActivityID": JSON_VALUES,
                                "token": JSON_VALUES,
                            },
                        ),
                    },
                ),
                max_size=3,
            ),
        },
    )
)
def test_any_request_of_the_right_outline_has_a_documented_answer(document: Any) -> None:
    world = World()

    reply = world.browse(json.dumps(document).encode())

    assert reply.status in DOCUMENTED
    assert (reply.status == 200) or world.committer.requests == []


@given(st.binary(max_size=300))
def test_any_bytes_have_a_documented_answer(body: bytes) -> None:
    assert World().post(body).status in DOCUMENTED
