"""Deliveries into streams, topics and files: permits, outcomes and faults are everyone's."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from service.core import json
from service.db.session import SessionFactory
from service.flows import deliver, test_action
from service.flows.delivery_lane import LaneRunner
from service.flows.test_action import Trial
from service.outbound.egress import AddressGuard
from service.outbound.follow_up import OnUnknown
from service.outbound.new_action import NewAction
from service.outbound.transport_curl import CurlTransport
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import DeliveryWorld, total
from tests.support.sinks import Exchange, Sink, running_sink

KINESIS = NewAction(
    name="stream",
    adapter="kinesis",
    payload={"text": "Hi {{ profile.person.name }}"},
    auth={
        "type": "awsKey",
        "accessKeyId": "AKIA0000000000000009",
        "secretAccessKey": "s3cret-key",
        "region": "eu-central-1",
    },
    settings={"stream": "messages", "partitionKey": "{{ profile.person.name }}", "maxWaitMs": 0},
)
FILES = NewAction(
    name="files",
    adapter="file",
    payload={"text": "Hi {{ profile.person.name }}"},
    settings={"folder": "out", "maxWaitMs": 0},
)


def takes_all_but_once(exchange: Exchange) -> None:
    """Take what Kinesis is given, but throttle p01 in the first call."""
    is_first = len(exchange.sink.received) == 1
    names = [each["PartitionKey"] for each in json.decode(exchange.request.body)["Records"]]
    taken = {"SequenceNumber": "49", "ShardId": "shardId-000000000000"}
    code = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate"}
    records = [code if is_first and name == "p01" else taken for name in names]
    body = json.encode({"FailedRecordCount": 0, "Records": records})
    exchange.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


@pytest.fixture
def stream() -> Iterator[Sink]:
    with running_sink(takes_all_but_once) as sink:
        yield sink


@pytest.fixture
def world(store: SessionFactory, scope: Scope, clock: FixedClock) -> DeliveryWorld:
    return DeliveryWorld(store, scope, clock, CurlTransport(AddressGuard.of("127.0.0.0/8")))


def enter(world: DeliveryWorld, count: int) -> None:
    names = [f"p{number:02d}" for number in range(count)]
    for name in names:
        world.add_person(name, tokens=0)
    world.enter(*names)


def into(sink: Sink) -> NewAction:
    return replace(KINESIS, settings={**KINESIS.settings, "endpoint": sink.url("")})


def allow_files(world: DeliveryWorld, folder: Path) -> Path:
    world.tools = replace(world.tools, sink_folder=folder)
    return folder / world.scope.sandbox / "out"


def lines_in(folder: Path) -> list[str]:
    """Return the texts of every row in files that a manifest names."""
    found = []
    for manifest in folder.glob("*.manifest.json"):
        said = json.decode(manifest.read_bytes())
        content = (folder / said["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == said["sha256"]
        found += [json.decode(line)["text"] for line in content.splitlines()]
    return sorted(found)


def test_only_the_throttled_record_is_put_again(
    world: DeliveryWorld, clock: FixedClock, stream: Sink
) -> None:
    world.add_action(into(stream))
    enter(world, 5)

    assert world.deliver() == {"sent": 4}
    clock.advance(2)
    assert world.deliver() == {"sent": 1}

    first, second = (json.decode(each.body)["Records"] for each in stream.received)
    assert len(first) == 5
    assert [each["PartitionKey"] for each in second] == ["p01"]
    assert total(world.balance()) == {"intended": 5, "sent": 5}
    assert world.balance().differences == ()


def test_a_test_request_goes_the_same_way(world: DeliveryWorld, stream: Sink) -> None:
    action_id = world.add_action(into(stream))
    world.add_person("p07", tokens=0)

    result = test_action.send(world.tools, world.scope, action_id, Trial(("CRMID", "p07")))

    assert result.outcome == "sent"
    (request,) = stream.received
    assert [each["PartitionKey"] for each in json.decode(request.body)["Records"]] == ["p07"]


def test_files_are_written_below_the_sandboxs_own_folder(
    world: DeliveryWorld, tmp_path: Path
) -> None:
    folder = allow_files(world, tmp_path)
    world.add_action(FILES)
    enter(world, 5)

    assert world.deliver() == {"sent": 5}

    assert lines_in(folder) == [f"Hi p{number:02d}" for number in range(5)]


def test_a_file_holds_no_more_rows_than_it_may_and_each_has_a_permit(
    world: DeliveryWorld, clock: FixedClock, tmp_path: Path
) -> None:
    folder = allow_files(world, tmp_path)
    world.add_action(replace(FILES, settings={**FILES.settings, "maxRows": 2}))
    enter(world, 5)
    runner = world.runner()

    for _ in range(12):
        runner.step(0.05)
        clock.wait(0.1)
    runner.close()

    assert len(lines_in(folder)) == 5
    assert len(list(folder.glob("*.manifest.json"))) == 3


def test_rows_of_a_worker_that_died_before_it_wrote_are_in_a_file_in_the_end(
    world: DeliveryWorld, clock: FixedClock, tmp_path: Path
) -> None:
    folder = allow_files(world, tmp_path)
    assert FILES.on_unknown is OnUnknown.RECORD
    world.add_action(FILES)
    enter(world, 3)
    deliver.claim_batch(world.tools, world.lane, limit=10, per_call=10)

    clock.advance(120)
    assert deliver.reap_doubtful(world.tools) == 3
    assert world.deliver() == {"sent": 3}

    assert lines_in(folder) == ["Hi p00", "Hi p01", "Hi p02"]
    assert world.balance().differences == ()


def test_rows_of_a_worker_that_died_after_it_wrote_come_again_with_the_same_ids(
    world: DeliveryWorld, clock: FixedClock, tmp_path: Path
) -> None:
    folder = allow_files(world, tmp_path)
    world.add_action(FILES)
    enter(world, 3)
    died = world.runner()
    died.step(5)
    assert len(lines_in(folder)) == 3
    assert world.states() == {"waiting": 3}

    clock.advance(120)
    deliver.reap_doubtful(world.tools)
    assert world.deliver() == {"sent": 3}

    died.close()
    written = [
        [json.decode(line)["id"] for line in each.read_bytes().splitlines()]
        for each in folder.glob("*.ndjson")
    ]
    assert len(written) == 2
    assert set(written[0]) == set(written[1])
    assert world.states() == {"sent": 3}
    assert world.balance().differences == ()


def test_a_lane_in_a_thread_of_its_own_ends_when_it_is_told_to(
    world: DeliveryWorld, clock: FixedClock, tmp_path: Path
) -> None:
    folder = allow_files(world, tmp_path)
    world.add_action(FILES)
    enter(world, 4)
    stopping = Event()

    with ThreadPoolExecutor(1) as recorder:
        runner = LaneRunner(
            world.tools, world.lane, recorder=recorder, on_told=lambda _: stopping.set()
        )
        runner.run(stopping.is_set, idle_s=60)

    assert world.states() == {"sent": 4}
    assert len(lines_in(folder)) == 4
