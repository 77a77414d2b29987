import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from mobile_stub.__main__ import main
from mobile_stub.gateway_http import answer
from tests.mobile_stub.scripted_edge import ScriptedEdge
from tests.mobile_stub.vendor_caller import Vendor


class Shell:
    """Runs commands of one phone."""

    def __init__(self, url: str, file: Path) -> None:
        self.common = ["--service", url, "--datastream", "ds", "--device", str(file)]

    def run(self, command: str, *more: str) -> int:
        return main([command, *self.common, *more])


@pytest.fixture
def shell(edge: ScriptedEdge, tmp_path: Path) -> Shell:
    return Shell(edge.url, tmp_path / "phone.json")


def test_a_phone_lives_from_install_to_logout(
    edge: ScriptedEdge, shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = [
        shell.run("install", "--seed", "9"),
        shell.run("login", "--id", "C-1"),
        shell.run("event", "--type", "a.b", "--xdm", '{"own": 1}', "--data", '{"tier": "gold"}'),
        shell.run("rotate-token", "--token", "two"),
        shell.run("logout"),
        shell.run("event", "--type", "c.d"),
    ]

    install, event, rotated, last = edge.bodies
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert codes == [0] * 6
    assert "pushNotificationDetails" in install["events"][0]["data"]
    assert event["events"][0]["xdm"]["own"] == 1
    assert event["xdm"]["identityMap"]["CRMID"][0]["id"] == "C-1"
    assert rotated["events"][0]["data"]["pushNotificationDetails"][0]["token"] == "two"
    assert "CRMID" not in last["xdm"]["identityMap"]
    assert len({line["ecid"] for line in printed}) == 1
    assert printed[0]["acknowledged"] == [install["events"][0]["xdm"]["_id"]]
    assert printed[1]["queued"] is None


def test_a_dropped_hit_ends_with_one(edge: ScriptedEdge, shell: Shell) -> None:
    edge.replies = [answer(422, b"{}")]

    assert shell.run("install") == 1


def test_an_unframed_answer_is_said_and_the_hit_is_not_sent_again(
    edge: ScriptedEdge, shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.replies = [answer(200, b'{"handle":[]}')]

    codes = [shell.run("install"), shell.run("login", "--id", "C-1")]

    assert codes == [1, 0]
    assert "could not have read the answer" in capsys.readouterr().err
    assert len(edge.requests) == 1


def test_a_phone_must_be_installed_first(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    code = shell.run("event", "--type", "a.b")

    assert code == 2
    assert "install the app first" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[]"])
def test_an_xdm_that_is_no_object_is_refused(shell: Shell, text: str) -> None:
    shell.run("install")

    assert shell.run("event", "--type", "a.b", "--xdm", text) == 2


def test_the_newest_message_is_opened_with_the_blob_it_carried(
    edge: ScriptedEdge, shell: Shell, vendor: Vendor
) -> None:
    shell.run("install", "--token", "to/ken:1")
    early = shell.run("open", "--gateway", vendor.url)
    vendor.http.post(f"{vendor.url}/_phones", json={"token": "to/ken:1"}, timeout=5)
    blob: dict[str, Any] = {
        "mixins": {"_experience": {"customerJourneyManagement": {"messageExecution": {}}}}
    }
    vendor.fcm({"token": "to/ken:1", "data": {"_xdm": json.dumps(blob)}})

    code = shell.run("open", "--gateway", vendor.url, "--wait-ms", "1000")

    xdm = edge.bodies[-1]["events"][0]["xdm"]
    assert (early, code) == (2, 0)
    assert xdm["eventType"] == "pushTracking.applicationOpened"
    assert xdm["pushNotificationTracking"]["pushProviderMessageID"].startswith("0:")
    assert "messageExecution" in xdm["_experience"]["customerJourneyManagement"]


def test_the_gateway_is_a_process_that_says_its_url_and_ends_on_sigterm(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"faults": [{"kind": "unavailable", "times": 1}]}))
    command = [sys.executable, "-m", "mobile_stub", "gateway", "--api-key", "k"]
    with subprocess.Popen(  # noqa: S603 - our own interpreter with our own module
        [*command, "--script", str(script)], stdout=subprocess.PIPE, text=True
    ) as gateway:
        assert gateway.stdout is not None
        url = json.loads(gateway.stdout.readline())["url"]
        headers = {"X-API-Key": "k"}

        statuses = [
            requests.post(f"{url}/push", json={"to": "x"}, headers=headers, timeout=5).status_code
            for _ in range(2)
        ]
        gateway.send_signal(signal.SIGTERM)

        assert statuses == [503, 200]
        assert gateway.wait(5) == 0


def test_the_gateway_says_how_its_apns_is_reached(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    command = [sys.executable, "-m", "mobile_stub", "gateway", "--apns-port", "0"]
    with subprocess.Popen(  # noqa: S603 - our own interpreter with our own module
        [*command, "--ca-file", str(ca_file)], stdout=subprocess.PIPE, text=True
    ) as gateway:
        assert gateway.stdout is not None
        told = json.loads(gateway.stdout.readline())
        vendors = requests.get(f"{told['url']}/_vendors", timeout=5).json()
        gateway.send_signal(signal.SIGTERM)

        assert gateway.wait(5) == 0
    assert told["apnsUrl"] == vendors["apns"]["url"]
    assert told["EDGEPOST_CA_FILE"] == str(ca_file)
    assert ca_file.read_text() == vendors["apns"]["certificate"]


def test_a_bare_sink_plays_no_apns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gateway", "--bare", "--apns-port", "0"]) == 2
    assert "plays no APNs" in capsys.readouterr().err


def test_a_gateway_with_a_bad_script_does_not_start(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"faults": [{"kind": "boom"}]}')

    assert main(["gateway", "--script", str(script)]) == 2


def test_a_phone_tells_its_consent_and_holds_or_drops_what_it_must(
    edge: ScriptedEdge, shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = [
        shell.run("install"),
        shell.run("consent", "--collect", "p"),
        shell.run("event", "--type", "a.b"),
        shell.run("consent", "--collect", "y"),
        shell.run("consent", "--collect", "n"),
        shell.run("event", "--type", "c.d"),
    ]

    held = [json.loads(line)["held"] for line in capsys.readouterr().out.splitlines()]
    assert codes == [0] * 6
    assert held == [0, 1, 2, 0, 0, 0]
    assert len(edge.requests) == 5
