"""What the OpenAPI document shows of the protocol is accepted as it stands."""

import json
from typing import Any

import pytest

from service.access.permissions import ALL_SANDBOXES, Permission
from service.access.tokens import AccessToken
from service.web.wire_paths import PATHS
from tests.support.clocks import START
from tests.support.edge_world import World

ANYWHERE = frozenset({ALL_SANDBOXES})
COLLECTOR = AccessToken("c", "o", frozenset({Permission.COLLECT}), ANYWHERE, START)
EXAMPLES = [
    (path.replace("{basePath}", "ee").replace("{mediaEvent}", "ping"), name, example["value"])
    for path, methods in PATHS.items()
    if path.startswith("/{basePath}/")
    for name, example in methods["post"]["requestBody"]["content"]["application/json"][
        "examples"
    ].items()
]


def test_every_action_of_the_protocol_is_documented() -> None:
    assert len({path for path, _, _ in EXAMPLES}) == 7


@pytest.mark.parametrize(
    ("path", "name", "body"), EXAMPLES, ids=[f"{p} {n}" for p, n, _ in EXAMPLES]
)
def test_an_example_is_accepted(path: str, name: str, body: Any) -> None:
    world = World(read_token=lambda _: COLLECTOR)
    content = json.dumps(body).encode()

    reply = world.post(content, path=path, headers={"Authorization": "Bearer t"})
    browsed = world.browse(content, path=path, headers={"Authorization": "Bearer t"})

    assert {reply.status, browsed.status} <= {200, 202, 204}, name
