"""The demo: twenty phones, a segment, a journey, two vendors and one cap, from start to ledger.

Two child processes play along, the vendors and the service; everything else happens over HTTP, as
phones, pages and an engineer's script would do it. In the end three memories must agree: what the
service says, what the vendors counted and what the phones showed.
"""

import json
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import FrameType

from rich.console import Console

from mobile_stub import demo_admin, demo_findings
from mobile_stub.demo_admin import CAP_CALLS, CAP_PERIOD_MS, Admin, World
from mobile_stub.demo_checks import CAPPED, SENT, Findings, check
from mobile_stub.demo_people import Player, play
from mobile_stub.demo_service import Backstage, DemoError, Vendors, pause
from mobile_stub.demo_story import Story
from mobile_stub.scenarios import Person, profile_record, twenty_people

FOLDER = Path(".edgepost/demo")
_ACT_WITHIN_S = 20.0
_DELIVERED_WITHIN_S = 20.0
_POLL_S = 0.1
_SIGTERM_STATUS = 143


def main(folder: Path, seed: str, console: Console) -> int:
    """Play the demo in ``folder``; 0 says that everything was exactly as it should be.

    The folder is emptied at the beginning and kept at the end, with the logs of both processes.
    """
    signal.signal(signal.SIGTERM, _end)
    story = Story(console)
    try:
        with Backstage(folder) as backstage:
            found = _play(backstage, twenty_people(seed), story)
    except DemoError as error:
        story.end(f"The demo could not go on: {error}", is_good=False)
        return 1
    return _judge(found, story)


def _end(_number: int, _frame: FrameType | None) -> None:
    """End as after an error, so that the children end too."""
    sys.exit(_SIGTERM_STATUS)


def _play(backstage: Backstage, persons: Sequence[Person], story: Story) -> Findings:
    story.chapter("Before the first phone speaks")
    vendors, url = backstage.start()
    story.tell("vendors", f"FCM v1, and a push API that wants an API key, at {vendors.url}")
    story.tell("edgepost run", f"web, worker and clock in one process, at {url}")
    off = threading.Event()
    with ExitStack() as open_things:
        printed = backstage.edgepost("credentials", "create", "--name", "demo")
        admin = open_things.enter_context(closing(demo_admin.log_in(url, printed)))
        world = _prepare(backstage, admin, vendors, persons, story)
        players = [Player(each, world.streams, vendors, off) for each in persons]
        for each in players:
            open_things.enter_context(closing(each))
        _live(players, off, story)
        _deliver(players, admin, world, off, story)
        found = demo_findings.gather(admin, backstage, world, vendors, players)
    demo_findings.show(found, story)
    return found


def _prepare(
    backstage: Backstage, admin: Admin, vendors: Vendors, persons: Sequence[Person], story: Story
) -> World:
    """Set the service up and import the people."""
    streams, inlet = demo_admin.make_sources(admin)
    story.tell("engineer", "a mobile datastream, a web datastream, an inlet for the CRM")
    file = backstage.folder / "people.ndjson"
    file.write_text("".join(json.dumps(_record(each)) + "\n" for each in persons))
    backstage.edgepost("profiles", "import", str(file), "--inlet", inlet)
    story.tell("CRM", f"{len(persons)} known people imported from {file.name}")
    segment = demo_admin.make_segment(admin)
    story.tell("engineer", f"a streaming segment: {demo_admin.SEGMENT_RULE}")
    cap = demo_admin.make_cap(admin, vendors)
    story.tell("engineer", f"a cap over both vendors: {CAP_CALLS} calls in {CAP_PERIOD_MS} ms")
    fcm, push = demo_admin.make_actions(admin, vendors)
    journey = demo_admin.make_journey(admin, segment, fcm, push)
    story.tell("engineer", "a journey: full cart -> which phone? -> FCM or push API -> end")
    return World(streams, segment, cap, journey)


def _live(players: Sequence[Player], off: threading.Event, story: Story) -> None:
    story.chapter("Twenty people")
    play(players, Player.install, off, _ACT_WITHIN_S)
    android = sum(each.person.device.platform == "fcm" for each in players)
    others = len(players) - android
    story.tell("phones", f"install the app: {android} FCM tokens, {others} APNs tokens are kept")
    play(players, Player.browse, off, _ACT_WITHIN_S)
    story.tell("pages", "the same people browse, and nobody knows yet who they are")
    play(players, Player.log_in, off, _ACT_WITHIN_S)
    story.tell("phones, pages", "everybody logs in: phone, page and known profile become one")


def _deliver(
    players: Sequence[Player], admin: Admin, world: World, off: threading.Event, story: Story
) -> None:
    """Let everybody fill the cart and open what comes, until every delivery has ended."""
    story.chapter("Full carts")
    over = threading.Event()

    def shop_and_watch(player: Player) -> None:
        player.shop()
        story.tell(player.person.first_name, "puts something into the cart", "magenta")
        player.watch(over, lambda text: story.tell(player.person.first_name, text, "green"))

    def until_ended() -> None:
        try:
            _await_end(admin, world, players, story)
        finally:
            over.set()

    play(players, shop_and_watch, off, _ACT_WITHIN_S, until_ended)


def _await_end(admin: Admin, world: World, players: Sequence[Player], story: Story) -> None:
    """Return when each person's delivery has ended, or when it has taken too long."""
    names = {each.person.crm_id: each.person.first_name for each in players}
    told: set[str] = set()
    deadline = time.monotonic() + _DELIVERED_WITHIN_S
    while time.monotonic() < deadline:
        ended = 0
        for crm_id, facts in demo_findings.deliveries(admin, world, names).items():
            for each in facts:
                ended += each.state != "waiting"
                if each.state not in ("waiting", SENT) and each.id not in told:
                    told.add(each.id)
                    story.tell(names[crm_id], f"gets no message: {each.state}", "yellow")
        if ended >= len(players):
            return
        pause(_POLL_S)


def _judge(found: Findings, story: Story) -> int:
    checks = check(found)
    wrong = [f"{each.claim}: {text}" for each in checks for text in each.deviations]
    story.verdict([each.claim for each in checks if not each.deviations], wrong)
    if wrong:
        story.end(f"{len(wrong)} deviations: this is not what should have come.", is_good=False)
        return 1
    entered, sent, capped = (
        found.people["entered"],
        found.messages[SENT],
        found.messages[CAPPED],
    )
    story.end(
        f"{entered} people entered = {sent} sent + {capped} capped, in {story.elapsed_s:.1f} s.",
        is_good=True,
    )
    return 0


def _record(person: Person) -> dict[str, object]:
    """Return what the CRM knows of a person: also the phone and the consent they once stated."""
    own = {"customer": person.crm_id, "platform": person.device.kind.value}
    consents = {"marketing": {"push": {"val": "y"}}}
    return profile_record(person) | {"_demo": own, "consents": consents}
