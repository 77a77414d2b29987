from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

from service.core import json
from service.outbound.atlas import Atlas, AtlasError


def remove(rule_id: str) -> Callable[[Any], object]:
    def change(document: Any) -> None:
        table = document[rule_id.partition(".")[0]]
        table["rules"] = [rule for rule in table["rules"] if rule["id"] != rule_id]

    return change


def put(rule_id: str, name: str, value: object) -> Callable[[Any], object]:
    def change(document: Any) -> None:
        rules = document[rule_id.partition(".")[0]]["rules"]
        next(rule for rule in rules if rule["id"] == rule_id)[name] = value

    return change


DEAD = {"effect": "dead", "guard": "registered_later"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (remove("fcm.4xx"), "fcm has no default for 4xx"),
        (remove("fcm.unknown"), "fcm has no default for unknown"),
        (remove("webhook.not_sent"), "has no default for not_sent"),
        (remove("fcm.any"), "fcm has no default for any answer"),
        (put("fcm.4xx", "id", "fcm.5xx"), "one id"),
        (put("fcm.4xx", "id", "apns.4xx"), "begin its id with fcm"),
        (put("fcm.4xx", "sim", []), "has no sample"),
        (put("fcm.4xx", "advice", ""), "gives no advice"),
        (put("fcm.4xx", "colour", "red"), "malformed"),
        (put("fcm.4xx", "scope", "nobody"), "malformed"),
        (put("fcm.4xx", "token", DEAD), "token it does not know of"),
        (put("fcm.404.unregistered", "token", {"effect": "dead"}), "without a guard"),
        (put("fcm.5xx", "retry", {"kind": "never"}), "never repeats"),
        (put("fcm.5xx", "retry", {"kind": "backoff", "cap_s": 1}), "without a limit"),
        (lambda document: document["push"].update(extends="push"), "circle"),
    ],
)
def test_an_atlas_that_contradicts_itself_is_refused(
    change: Callable[[Any], object], problem: str, shipped: Any
) -> None:
    change(shipped)

    with pytest.raises(AtlasError, match=problem):
        Atlas({name: json.encode(table) for name, table in shipped.items()})


@pytest.fixture
def shipped() -> Any:
    folder = resources.files("service.outbound").joinpath("error_atlas")
    return {
        each.name.removesuffix(".json"): json.decode(each.read_bytes()) for each in folder.iterdir()
    }
