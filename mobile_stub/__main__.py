"""A phone, a load of phones, the vendors, or the whole demo: ``python -m mobile_stub COMMAND``.

Each command of the phone prints one JSON line. A phone that cannot reach the service tries again
for ever, as phones do; end it with Ctrl-C: its queue is in the device file, and the next command
sends it first.
"""

import argparse
import asyncio
import json
import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from rich.console import Console

from mobile_stub import consents, demo, live_activities, load_report, sdk, tracking
from mobile_stub import device as devices
from mobile_stub.answers import AnswerError
from mobile_stub.device import Device, Hit, Kind, Platform
from mobile_stub.edge_client import Edge, Phone
from mobile_stub.gateway import GatewaySettings, run
from mobile_stub.gateway_faults import ScriptError, parse_script
from mobile_stub.load import Plan
from mobile_stub.load_clients import ClientName

_GATEWAY_TIMEOUT_S = 5


class UsageError(Exception):
    """The command cannot be done with what it was given."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0: done. 1: the service refused the hit, its answer could not be read, a request of a load got
    no 2xx, or the demo found something that is not as it should be. 2: bad usage.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.command == "gateway":
            return _gateway(options)
        if options.command == "demo":
            return demo.main(options.folder, options.seed, Console(highlight=False))
        if options.command == "load":
            return load_report.main(_plan(options), Console(highlight=False))
        return _phone(options)
    except (UsageError, ScriptError) as error:
        print(error, file=sys.stderr)
        return 2
    except AnswerError as error:
        print(f"the SDK could not have read the answer: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _gateway(options: argparse.Namespace) -> int:
    if options.bare and options.apns_port is not None:
        raise UsageError("a bare sink plays no APNs")
    script = parse_script(json.loads(options.script.read_text())) if options.script else ()
    settings = GatewaySettings(
        project_id=options.project,
        api_key=options.api_key,
        token_lifetime_s=options.token_lifetime,
        keep=options.keep,
        script=script,
        bare=options.bare,
        apns_port=options.apns_port,
        apns_streams=options.apns_streams,
        apns_topics=tuple(options.apns_topic),
        known_tokens_only=options.known_tokens_only,
        ca_file=options.ca_file,
    )
    asyncio.run(run(settings, options.host, options.port))
    return 0


def _plan(options: argparse.Namespace) -> Plan:
    return Plan(
        url=options.url,
        datastream=options.datastream,
        client=ClientName(options.client),
        devices=options.devices,
        rate=options.rate,
        duration_s=options.duration,
        seed=options.seed,
    )


def _phone(options: argparse.Namespace) -> int:
    device, hit = _act(options, _device(options), datetime.now(UTC))
    devices.save(device, options.device)
    phone = Phone(device, Edge(options.service, options.datastream))
    try:
        while phone.device.queue and not phone.is_held:
            phone.step()
            devices.save(phone.device, options.device)
    finally:
        devices.save(phone.device, options.device)
        phone.close()
    last = phone.attempts[-1] if phone.attempts else None
    print(
        json.dumps(
            {
                "ecid": phone.device.ecid,
                "queued": hit.id if hit else None,
                "acknowledged": phone.acknowledged,
                "held": len(phone.device.queue),
                "status": last.status if last else None,
                "answer": last.body.decode(errors="replace") if last else None,
            }
        )
    )
    is_done = hit is None or hit.id in phone.acknowledged or phone.is_held
    return 0 if is_done else 1


def _act(options: argparse.Namespace, device: Device, now: datetime) -> tuple[Device, Hit | None]:
    match options.command:
        case "install" | "rotate-token":
            given, source = devices.draw(device)
            token = options.token or devices.new_token(device.platform, source)
            return sdk.install(given, token, now)
        case "event":
            xdm, data = _json_object(options.xdm), _json_object(options.data)
            return sdk.event(device, options.type, now, xdm=xdm, data=data)
        case "login":
            return sdk.switch_login(device, options.id, options.namespace), None
        case "logout":
            return sdk.logout(device, options.namespace), None
        case "reset":
            return live_activities.reset_identities(device, now)
        case "consent":
            return consents.collect(consents.with_default(device), options.collect, now)
        case _:
            return tracking.opened(device, _newest_push(options, device), now)


def _device(options: argparse.Namespace) -> Device:
    try:
        return devices.load(options.device)
    except FileNotFoundError:
        if options.command != "install":
            raise UsageError(f"{options.device}: no such phone; install the app first") from None
    kind = Kind(options.kind)
    usual = Platform.FCM if kind is Kind.ANDROID else Platform.APNS
    platform = Platform(options.platform) if options.platform else usual
    return devices.new_device(kind, options.app, platform, options.seed)


def _newest_push(options: argparse.Namespace, device: Device) -> tracking.Push:
    if device.token is None:
        raise UsageError("this phone has no push token")
    url = f"{options.gateway.rstrip('/')}/_inbox/{quote(device.token, safe='')}"
    query = {"waitMs": options.wait_ms}
    answer = requests.get(url, params=query, timeout=options.wait_ms / 1000 + _GATEWAY_TIMEOUT_S)
    messages = answer.json().get("messages")
    if not messages:
        raise UsageError("no message has reached this phone")
    return tracking.read_push(messages[-1])


def _json_object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError("not a JSON object")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mobile_stub", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_phone_commands(commands)
    usual = GatewaySettings()
    gateway = commands.add_parser("gateway", help="play FCM, APNs, Twilio and a generic JSON push")
    gateway.add_argument("--host", default="127.0.0.1")
    gateway.add_argument("--port", type=int, default=0, help="0 takes a free one")
    gateway.add_argument("--script", type=Path, help="JSON file of faults")
    gateway.add_argument("--project", default=usual.project_id)
    gateway.add_argument("--api-key", default=usual.api_key)
    gateway.add_argument(
        "--token-lifetime", type=int, default=usual.token_lifetime_s, help="seconds"
    )
    gateway.add_argument("--keep", type=int, help="remember only the last N requests")
    gateway.add_argument("--bare", action="store_true", help="answer and count only")
    _add_apns(gateway)
    _add_load(commands)
    story = commands.add_parser("demo", help="play the whole story and check how it ends")
    story.add_argument("--folder", type=Path, default=demo.FOLDER, help="emptied at the beginning")
    story.add_argument("--seed", default="1", help="fixes the people, their ids and tokens")
    return parser


def _add_apns(gateway: argparse.ArgumentParser) -> None:
    usual = GatewaySettings()
    gateway.add_argument("--apns-port", type=int, help="play APNs there (needs h2); 0: a free one")
    gateway.add_argument("--apns-streams", type=int, default=usual.apns_streams)
    gateway.add_argument("--apns-topic", action="append", default=[], help="bundle id of the key")
    gateway.add_argument("--known-tokens-only", action="store_true", help="others are bad tokens")
    gateway.add_argument("--ca-file", type=Path, help="where the certificate of APNs is written")


def _add_load(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    load = commands.add_parser("load", help="many devices at a rate; ends by itself")
    load.add_argument(
        "--url", type=_base_url, required=True, help="URL in place of https://edge.domain"
    )
    load.add_argument("--datastream", required=True, help="datastream id")
    load.add_argument("--devices", type=_count, default=100)
    load.add_argument("--rate", type=_amount, default=50.0, help="requests per second, in all")
    load.add_argument("--duration", type=_amount, default=30.0, help="seconds")
    load.add_argument("--client", choices=list(ClientName), default=ClientName.ANDROID)
    load.add_argument("--seed", default="1", help="fixes the devices, their ids and tokens")


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise argparse.ArgumentTypeError("a URL with its scheme, such as http://127.0.0.1:8080")
    return text


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _amount(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError("more than 0")
    return number


def _add_phone_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    phone = argparse.ArgumentParser(add_help=False)
    phone.add_argument("--service", required=True, help="URL in place of https://edge.domain")
    phone.add_argument("--datastream", required=True, help="datastream id")
    phone.add_argument("--device", required=True, type=Path, help="JSON file of the phone")
    install = commands.add_parser("install", parents=[phone], help="first launch, push token")
    install.add_argument("--kind", choices=list(Kind), default=Kind.ANDROID)
    install.add_argument("--platform", choices=list(Platform), help="default: fcm or apns")
    install.add_argument("--app", default="com.example.shop")
    install.add_argument("--seed", default="1", help="fixes every random part of the phone")
    rotate = commands.add_parser("rotate-token", parents=[phone], help="a new push token")
    for command in (install, rotate):
        command.add_argument("--token", help="default: a new one")
    event = commands.add_parser("event", parents=[phone], help="send an experience event")
    event.add_argument("--type", required=True)
    event.add_argument("--xdm", help="JSON object merged into the event")
    event.add_argument("--data", help="JSON object of free-form data")
    login = commands.add_parser("login", parents=[phone], help="no request: later events tell")
    login.add_argument("--id", required=True)
    logout = commands.add_parser("logout", parents=[phone], help="no request: later events tell")
    for command in (login, logout):
        command.add_argument("--namespace", default="CRMID")
    consent = commands.add_parser("consent", parents=[phone], help="may data be collected?")
    consent.add_argument("--collect", required=True, help="y, n, or p to wait")
    commands.add_parser("reset", parents=[phone], help="forget all identities; new ECID")
    opened = commands.add_parser("open", parents=[phone], help="report the newest push as opened")
    opened.add_argument("--gateway", required=True, help="URL of the stub gateway")
    opened.add_argument("--wait-ms", type=int, default=0, help="wait for a message this long")


if __name__ == "__main__":
    sys.exit(main())
