"""Kinesis: what boto3 puts through our transport, read back, and each record's own verdict."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

from service.core import json
from service.core.errors import InvalidInputError
from service.core.secret import Secret
from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.registry import get_adapter
from service.outbound.atlas_rules import OutcomeKind
from service.outbound.auth_aws import AwsKeyAuth
from service.outbound.egress import AddressGuard
from service.outbound.outcomes import classify
from service.outbound.sinks.kinesis import KinesisSink
from service.outbound.templating import TemplateError
from service.outbound.transport import Reply, ReplyKind, Trouble
from tests.support.messages import NOW, action_for, message
from tests.support.sink_calls import put, rows_of, said
from tests.support.sinks import (
    Behaviour,
    Exchange,
    Received,
    answer,
    close_unanswered,
    running_sink,
)

KEY = AwsKeyAuth("AKIA0000000000000009", Secret("s3cret-key"), "eu-central-1")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


def action(endpoint: str, **settings: Any) -> ActionSpec:
    return action_for(
        "kinesis", settings={"stream": "messages", "endpoint": endpoint, **settings}, auth=KEY
    )


def a_client(endpoint: str) -> Any:
    return boto3.client(
        "kinesis",
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def records_in(client: Any, stream: str) -> list[tuple[str, Any]]:
    found = []
    for shard in client.list_shards(StreamName=stream)["Shards"]:
        start = client.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        records = client.get_records(ShardIterator=start["ShardIterator"])["Records"]
        found += [(shard["ShardId"], record) for record in records]
    return found


def kinesis(answer: Any, status: int = 200) -> Behaviour:
    """Answer as Kinesis does."""

    def behave(exchange: Exchange) -> None:
        said = answer(exchange.request) if callable(answer) else answer
        body = json.encode(said)
        kind = "Content-Type: application/x-amz-json-1.1\r\n"
        head = f"HTTP/1.1 {status} X\r\n{kind}Content-Length: {len(body)}\r\n\r\n"
        exchange.send(head.encode() + body)

    return behave


def outcome(reply: Reply) -> tuple[OutcomeKind, str]:
    found = classify("kinesis", reply, now=NOW)
    return found.kind, found.rule_id


def test_five_hundred_rows_are_put_in_one_call_and_can_be_read_back(moto: str) -> None:
    client = a_client(moto)
    client.create_stream(StreamName="messages", ShardCount=2)
    spec = action(moto, partitionKey="{{ profile.name }}")
    rows = rows_of(spec, 500)

    replies = put(KinesisSink(spec), rows)

    found = records_in(client, "messages")
    by_key = {record["PartitionKey"]: json.decode(record["Data"]) for _, record in found}
    assert by_key["p7"] == {"id": str(UUID(int=8)), "text": "Hi p7"}
    assert len(by_key) == 500
    assert [reply.key for reply in replies] == [row.key for row in rows]
    ids = {classify("kinesis", reply, now=NOW).vendor_message_id for reply in replies}
    assert len(ids) == 500
    kept = {f"{shard}:{record['SequenceNumber']}" for shard, record in found}
    assert ids == kept


def test_a_stream_that_is_not_there_is_for_an_operator(moto: str) -> None:
    spec = action(moto, stream="nowhere")

    replies = put(KinesisSink(spec), rows_of(spec, 2))

    assert {outcome(reply) for reply in replies} == {(OutcomeKind.FAILED, "kinesis.no_stream")}


def some_refused(request: Received) -> Any:
    names = [record["PartitionKey"] for record in json.decode(request.body)["Records"]]
    verdicts = {
        "p1": {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate"},
        "p2": {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal service failure."},
        "p3": {"ErrorCode": "SomethingNew", "ErrorMessage": "?"},
    }
    taken = {"SequenceNumber": "49", "ShardId": "shardId-000000000000"}
    return {
        "FailedRecordCount": 3,
        "Records": [verdicts.get(name, taken) for name in names],
    }


def test_each_record_has_a_verdict_of_its_own() -> None:
    with running_sink(kinesis(some_refused)) as third_party:
        spec = action(third_party.url(""), partitionKey="{{ profile.name }}")
        replies = put(KinesisSink(spec), rows_of(spec, 5))

    assert [outcome(reply) for reply in replies] == [
        (OutcomeKind.SENT, "kinesis.2xx"),
        (OutcomeKind.RETRY, "kinesis.record.throttled"),
        (OutcomeKind.RETRY, "kinesis.record.failed"),
        (OutcomeKind.RETRY, "kinesis.5xx"),
        (OutcomeKind.SENT, "kinesis.2xx"),
    ]
    (request,) = third_party.received
    assert request.header("X-Amz-Target") == "Kinesis_20131202.PutRecords"
    assert "Credential=AKIA0000000000000009/" in (request.header("Authorization") or "")
    assert "s3cret-key" not in request.head + request.body.decode()


@pytest.mark.parametrize(
    ("status", "code", "rule"),
    [
        (400, "com.amazonaws.kinesis#ResourceNotFoundException:http://x/", "kinesis.no_stream"),
        (400, "AccessDeniedException", "kinesis.access"),
        (400, "ProvisionedThroughputExceededException", "kinesis.throttled"),
        (400, "KMSThrottlingException", "kinesis.kms.throttled"),
        (500, "InternalFailureException", "kinesis.5xx"),
        (503, "ServiceUnavailable", "kinesis.5xx"),
    ],
)
def test_a_refused_call_is_the_end_of_every_row_and_is_made_once(
    status: int, code: str, rule: str
) -> None:
    with running_sink(kinesis({"__type": code, "message": "no"}, status)) as third_party:
        spec = action(third_party.url(""))
        replies = put(KinesisSink(spec), rows_of(spec, 3))

    assert {outcome(reply)[1] for reply in replies} == {rule}
    assert len(third_party.received) == 1


def test_a_call_that_holds_a_record_it_cannot_take_goes_again_in_halves() -> None:
    refusal = kinesis({"__type": "ValidationException", "message": "no"}, 400)
    with running_sink(refusal) as third_party:
        spec = action(third_party.url(""))
        many, one = rows_of(spec, 4), rows_of(spec, 1)
        split = put(KinesisSink(spec), many)
        (alone,) = put(KinesisSink(spec), one)

    assert {(reply.kind, reply.trouble) for reply in split} == {
        (ReplyKind.NOT_SENT, Trouble.CALL_FULL)
    }
    assert outcome(alone) == (OutcomeKind.FAILED, "kinesis.invalid")


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (close_unanswered, ReplyKind.UNKNOWN),
        (answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), ReplyKind.UNKNOWN),
        (answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{"), ReplyKind.UNKNOWN),
    ],
)
def test_an_answer_without_verdicts_leaves_the_rows_in_doubt(
    behaviour: Behaviour, kind: ReplyKind
) -> None:
    with running_sink(behaviour) as third_party:
        spec = action(third_party.url(""))
        replies = put(KinesisSink(spec), rows_of(spec, 2))

    assert {reply.kind for reply in replies} == {kind}
    assert len(third_party.received) == 1


def test_the_guard_judges_the_address_of_each_call() -> None:
    with running_sink() as third_party:
        spec = action(third_party.url(""))
        replies = put(KinesisSink(spec), rows_of(spec, 2), guard=AddressGuard())

    assert {(reply.kind, reply.trouble) for reply in replies} == {
        (ReplyKind.NOT_SENT, Trouble.ADDRESS_REFUSED)
    }
    assert third_party.received == []


def test_nothing_leaves_once_the_permit_is_over() -> None:
    with running_sink() as third_party:
        spec = action(third_party.url(""))
        replies = put(KinesisSink(spec), rows_of(spec, 2), may_start=False)

    assert {reply.trouble for reply in replies} == {Trouble.PERMIT_REFUSED}
    assert third_party.received == []


def test_a_machines_own_credentials_and_settings_are_never_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-the-machine")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    taken = {"Records": [{"SequenceNumber": "1", "ShardId": "s"}], "FailedRecordCount": 0}
    with running_sink(kinesis(taken)) as third_party:
        spec = action(third_party.url(""))
        (reply,) = put(KinesisSink(spec), rows_of(spec, 1))

    assert said(reply) == {"ShardId": "s", "SequenceNumber": "1", "messageId": "s:1"}
    assert third_party.received[0].header("X-Amz-Security-Token") is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda spec: replace(spec, settings={"stream": "a b"}), "stream is a name"),
        (lambda spec: replace(spec, settings={}), "stream must be a text"),
        (lambda spec: replace(spec, headers=(("X-A", "b"),)), "takes no headers"),
        (lambda spec: replace(spec, settings={"stream": "s", "region": "EU!"}), "region"),
        (lambda spec: replace(spec, auth=AwsKeyAuth("AKIA", Secret("s"))), "region"),
        (lambda spec: replace(spec, settings={"stream": "s", "maxRows": 501}), "maxRows"),
        (lambda spec: replace(spec, settings={"stream": "s", "partitionKey": "{{ x }}"}), "x"),
    ],
)
def test_what_could_not_be_put_is_refused(
    change: Callable[[ActionSpec], ActionSpec], why: str
) -> None:
    with pytest.raises(InvalidInputError, match=why):
        get_adapter("kinesis").check(change(action_for("kinesis")), AddressGuard())


def test_a_partition_key_that_is_too_long_or_empty_stops_the_message() -> None:
    for name in ("", "x" * 257):
        spec = action("https://kinesis.example", partitionKey="{{ profile.name }}")

        with pytest.raises(TemplateError, match="partition key"):
            get_adapter("kinesis").render(spec, message(profile={"name": name}), now=NOW)


def test_a_row_that_is_too_long_stops_the_message() -> None:
    spec = action("https://kinesis.example", maxRowBytes=40)

    with pytest.raises(TemplateError, match="at most 40"):
        get_adapter("kinesis").render(spec, message(), now=NOW)


def test_without_boto3_the_refusal_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)

    with pytest.raises(InvalidInputError, match=r"pip install 'edgepost\[kinesis\]'"):
        get_adapter("kinesis").check(action_for("kinesis"), AddressGuard())
