"""Files of rows: whole, named by a manifest, and nothing lost whenever the writer dies."""

import csv
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

from service.core import json
from service.core.errors import InvalidInputError
from service.core.secret import Secret
from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.registry import get_adapter
from service.outbound.atlas_rules import OutcomeKind
from service.outbound.auth import NoAuth
from service.outbound.auth_aws import AwsKeyAuth
from service.outbound.egress import AddressGuard
from service.outbound.outcomes import classify
from service.outbound.sinks.bucket import BucketSink
from service.outbound.sinks.file import FolderSink
from service.outbound.transport import Reply, Trouble
from tests.support.messages import NOW, action_for
from tests.support.sink_calls import put, rows_of

KEY = AwsKeyAuth("AKIA0000000000000009", Secret("s3cret-key"), "eu-central-1")


def in_folder(**settings: Any) -> ActionSpec:
    return action_for("file", settings={"folder": "out/daily", **settings}, auth=NoAuth())


def outcome(reply: Reply) -> tuple[OutcomeKind, str]:
    found = classify("file", reply, now=NOW)
    return found.kind, found.rule_id


def manifests(folder: Path) -> list[Any]:
    return [json.decode(each.read_bytes()) for each in sorted(folder.glob("*.manifest.json"))]


def test_a_file_has_every_row_and_its_manifest_says_so(tmp_path: Path) -> None:
    spec = in_folder()
    rows = rows_of(spec, 3)

    replies = put(FolderSink(spec, tmp_path), rows)

    folder = tmp_path / "out" / "daily"
    (manifest,) = manifests(folder)
    content = (folder / manifest["name"]).read_bytes()
    assert [json.decode(line)["text"] for line in content.splitlines()] == [
        "Hi p0",
        "Hi p1",
        "Hi p2",
    ]
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert (manifest["rows"], manifest["bytes"]) == (3, len(content))
    assert (manifest["firstId"], manifest["lastId"]) == (rows[0].delivery_id, rows[2].delivery_id)
    assert {outcome(each) for each in replies} == {(OutcomeKind.SENT, "file.2xx")}
    assert classify("file", replies[0], now=NOW).vendor_message_id == manifest["name"]
    assert len(list(folder.iterdir())) == 2


def test_csv_has_the_columns_that_were_asked_for(tmp_path: Path) -> None:
    spec = replace(
        in_folder(format="csv", columns=["id", "note", "tags", "absent"]),
        payload={"note": 'say "hi",\n{{ profile.name }}', "tags": ["a", 1]},
    )

    put(FolderSink(spec, tmp_path), rows_of(spec, 2))

    (manifest,) = manifests(tmp_path / "out" / "daily")
    with (tmp_path / "out" / "daily" / manifest["name"]).open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first["note"] == 'say "hi",\np0'
    assert (second["tags"], second["absent"]) == ('["a",1]', "")
    assert manifest["name"].endswith(".csv")


def test_without_a_folder_of_the_operators_nothing_is_written() -> None:
    replies = put(FolderSink(in_folder(), None), rows_of(in_folder(), 2))

    assert {outcome(each) for each in replies} == {(OutcomeKind.FAILED, "file.no_folder")}


def test_nothing_is_written_once_the_permit_is_over(tmp_path: Path) -> None:
    replies = put(FolderSink(in_folder(), tmp_path), rows_of(in_folder(), 2), may_start=False)

    assert {each.trouble for each in replies} == {Trouble.PERMIT_REFUSED}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_for_an_operator(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where a folder should be")

    replies = put(FolderSink(in_folder(), tmp_path), rows_of(in_folder(), 2))

    assert {outcome(each)[0] for each in replies} == {OutcomeKind.RETRY}


_WRITER = """
import os, signal, sys
from pathlib import Path
from service.outbound.sinks import file, file_rows
from service.outbound.sinks.contract import SinkRow
from service.outbound.transport import CallParts

folder, dies_at = Path(sys.argv[1]), int(sys.argv[2])
seen = 0

def watch(event, args):
    global seen
    if event == "os.rename" or (event == "open" and str(args[0]).endswith(".part")):
        seen += 1
        if seen == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
rows = [SinkRow(n, CallParts("PUT", "", (), b'{"n":%d}' % n)) for n in range(20)]
file.write(folder, file_rows.make(rows, "ndjson", ()))
"""


@pytest.mark.parametrize("dies_at", [1, 2, 3, 4, 5])
def test_whenever_the_writer_is_killed_no_manifest_names_half_a_file(
    tmp_path: Path, dies_at: int
) -> None:
    died = subprocess.run(  # noqa: S603 - our own interpreter and words
        [sys.executable, "-c", _WRITER, str(tmp_path), str(dies_at)],
        check=False,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )

    was_whole = dies_at == 5
    assert died.returncode == (0 if was_whole else -signal.SIGKILL)
    assert len(manifests(tmp_path)) == was_whole
    for manifest in manifests(tmp_path):
        content = (tmp_path / manifest["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == manifest["sha256"]
        assert len(content.splitlines()) == manifest["rows"] == 20
    for file in tmp_path.glob("*.ndjson"):
        assert len(file.read_bytes().splitlines()) == 20


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


def in_bucket(endpoint: str, **settings: Any) -> ActionSpec:
    own = {"bucket": "messages", "prefix": "out/daily", "endpoint": endpoint, **settings}
    return action_for("file", settings=own, auth=KEY)


def test_a_bucket_gets_the_file_and_then_its_manifest(moto: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=moto,
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    where = {"LocationConstraint": "eu-central-1"}
    client.create_bucket(Bucket="messages", CreateBucketConfiguration=where)
    spec = in_bucket(moto)

    replies = put(BucketSink(spec), rows_of(spec, 4))

    keys = sorted(each["Key"] for each in client.list_objects_v2(Bucket="messages")["Contents"])
    rows, manifest = (client.get_object(Bucket="messages", Key=key)["Body"].read() for key in keys)
    assert keys[1] == f"{keys[0]}.manifest.json"
    assert keys[0].startswith("out/daily/")
    assert json.decode(manifest)["sha256"] == hashlib.sha256(rows).hexdigest()
    assert [json.decode(line)["text"] for line in rows.splitlines()][3] == "Hi p3"
    found = classify("file", replies[0], now=NOW)
    assert (found.kind, found.vendor_message_id) == (OutcomeKind.SENT, keys[0])


def test_a_bucket_that_is_not_there_is_for_an_operator(moto: str) -> None:
    spec = in_bucket(moto, bucket="nowhere")

    replies = put(BucketSink(spec), rows_of(spec, 2))

    assert {outcome(each) for each in replies} == {(OutcomeKind.FAILED, "file.404")}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "name one"),
        ({"folder": "a", "bucket": "bbb"}, "name one"),
        ({"folder": "../a"}, "folder is a path"),
        ({"folder": "/etc"}, "folder is a path"),
        ({"folder": "a/../../b"}, "folder is a path"),
        ({"folder": ".hidden"}, "folder is a path"),
        ({"folder": "a", "format": "xml"}, "format must be one of"),
        ({"folder": "a", "format": "csv"}, "needs columns"),
        ({"folder": "a", "columns": ["x"]}, "needs columns"),
        ({"folder": "a", "maxWaitMs": 60_000}, "maxWaitMs"),
    ],
)
def test_what_could_not_be_written_is_refused(settings: dict[str, Any], why: str) -> None:
    spec = action_for("file", settings=settings, auth=NoAuth())

    with pytest.raises(InvalidInputError, match=why):
        get_adapter("file").check(spec, AddressGuard())


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: replace(spec, auth=KEY, settings={"folder": "a"}),
        lambda spec: replace(spec, auth=NoAuth()),
        lambda spec: replace(spec, settings={"bucket": "A_B"}),
        lambda spec: replace(spec, settings={"bucket": "messages", "prefix": "../x"}),
    ],
)
def test_a_place_and_who_writes_there_must_fit(change: Callable[[ActionSpec], ActionSpec]) -> None:
    with pytest.raises(InvalidInputError):
        get_adapter("file").check(change(action_for("file")), AddressGuard())
