"""Knowing somebody's number is not being them: from the request to the owner of the token."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID, uuid4
from wsgiref.types import WSGIApplication

import pytest
from sqlalchemy import select

from service.bootstrap import Services, build_services
from service.db.session import SessionFactory
from service.identity.identity_map import identity_key
from service.identity.models import Identity
from service.profiles import lookups
from service.profiles.models import ExperienceEvent, PushToken
from service.profiles.push_tokens import token_key
from service.sandboxes.scope import Scope
from service.settings import Settings
from service.web.app import create_app
from service.web.main import build_application
from tests.support.admin import KEY, ORG, AdminClient, signed_in
from tests.support.builders import ecid
from tests.support.clocks import FixedClock
from tests.support.login_proofs import EC, SECRET, pem_of, proof
from tests.support.sinks import closed_port
from tests.support.wire import Reply, call, edge_query

APP = "com.example.shop"
SHARED = {"mode": "required", "algorithms": ["HS256"], "secret": SECRET}
HERS, THEIRS = ecid(1).value, ecid(2).value
ADA = identity_key("CRMID", "ada")


class World:
    """The whole web process over one store, and the phones and the operator that use it."""

    def __init__(self, services: Services, clock: FixedClock) -> None:
        self.clock = clock
        self.store = services.sessions
        self.application: WSGIApplication = build_application(services)
        self._admin = create_app(services)
        self.datastream = UUID(int=0)

    @property
    def admin(self) -> AdminClient:
        """An operator whose access token is new."""
        return signed_in(self._admin)

    def set_up(self, proof: Any, **settings: Any) -> None:
        """Create the datastream that every request goes to."""
        new = {"name": "app", "platform": "mobile", "loginProof": proof, **settings}
        made = self.admin.post("/datastreams", json=new)
        assert made.status_code == 201, made.text
        self.datastream = UUID(made.get_json()["id"])

    def send(
        self,
        device: str,
        *people: tuple[str, str],
        token: str | None = None,
        proofs: Any = None,
        event_id: str | None = None,
        logged_out: tuple[str, str] | None = None,
    ) -> Reply:
        """Send one event of a phone a second after the last; each person is authenticated."""
        self.clock.advance(1)
        data: dict[str, Any] = {"basket": 3}
        if proofs is not None:
            data["loginProof"] = proofs
        if token is not None:
            owner = {"namespace": {"code": "ECID"}, "id": device}
            announced = {"appID": APP, "platform": "fcm", "token": token, "identity": owner}
            data["pushNotificationDetails"] = [announced]
        xdm = {
            "_id": event_id or str(uuid4()),
            "timestamp": self.clock.now().isoformat(),
            "eventType": "application.launch",
            "identityMap": self._identities(people),
        }
        if logged_out is not None:
            gone = {"id": logged_out[1], "authenticatedState": "loggedOut"}
            xdm["identityMap"] = {logged_out[0]: [gone]}
        body = {
            "xdm": {"identityMap": {"ECID": [{"id": device}]}},
            "events": [{"xdm": xdm, "data": data}],
        }
        return self._post("/ee/v1/interact", body)

    def consent(self, device: str | None, *people: tuple[str, str]) -> Reply:
        """Send that a phone wants no marketing pushes."""
        self.clock.advance(1)
        value = {"collect": {"val": "y"}, "marketing": {"push": {"val": "n"}}}
        said = [{"standard": "Adobe", "version": "2.0", "value": value}]
        identities = self._identities(people)
        if device is not None:
            identities["ECID"] = [{"id": device}]
        body = {"identityMap": identities, "consent": said}
        return self._post("/ee/v1/privacy/set-consent", body)

    def proof(self, person: str, device: str, **changes: Any) -> str:
        """Return what the shop's backend signs now."""
        return proof(person, device, at=self.clock.now(), **changes)

    def owner(self, token: str) -> UUID | None:
        """Return whom a token belongs to."""
        with self.store.opened() as session:
            found = session.get(PushToken, (1, token_key(APP, "fcm", token)))
            assert found is not None
            return found.owner_id

    def tokens_of(self, person: UUID) -> list[str]:
        """Return the tokens that a message to a person may go to now."""
        with self.store.opened() as session:
            found = lookups.read_recipients(session, Scope(1, "prod"), [person])
        return sorted(each.token for each in found[person].tokens) if person in found else []

    def audited(self) -> list[Any]:
        """Return the audit's entries of identities, oldest first."""
        entries = self.admin.get("/audit/entries?action=identity.refuse").get_json()["items"]
        return list(reversed(entries))

    def refusals(self) -> list[tuple[str, str]]:
        """Return what the audit says of identities, oldest first."""
        return [(each["subject"], each["reason"]) for each in self.audited()]

    def marketing(self, namespace: str, value: str) -> Any:
        """Return what somebody's profile says of marketing pushes."""
        found = self.admin.get(f"/profiles/{namespace}/{value}")
        assert found.status_code == 200, found.text
        consents = found.get_json()["attributes"].get("consents", {})
        return consents.get("marketing", {}).get("push", {}).get("val")

    def logged_in(self, device: str) -> UUID | None:
        """Return the person a device is logged in as."""
        with self.store.opened() as session:
            return session.get_one(Identity, (1, identity_key("ECID", device))).login_id

    def events(self) -> list[ExperienceEvent]:
        """Return the stored events, oldest first."""
        with self.store.opened() as session:
            mine = ExperienceEvent.sandbox_id == 1
            chosen = select(ExperienceEvent).where(mine).order_by(ExperienceEvent.at)
            return list(session.scalars(chosen))

    def _identities(self, people: tuple[tuple[str, str], ...]) -> dict[str, Any]:
        state = "authenticated"
        return {name: [{"id": each, "authenticatedState": state}] for name, each in people}

    def _post(self, path: str, body: Any) -> Reply:
        query = edge_query(self.datastream)
        return call(self.application, path, json.dumps(body).encode(), query=query)


@pytest.fixture
def world(store: SessionFactory, clock: FixedClock) -> Iterator[World]:
    """Return a web process over a fresh store."""
    url = store.engine.url.render_as_string(hide_password=False)
    loopback = (ip_network("127.0.0.0/8"),)
    settings = Settings(url, (KEY,), org_id=ORG, answer_within_s=10, allow_private_hosts=loopback)
    services = build_services(settings, clock=clock)
    yield World(services, clock)
    services.committer.close()
    services.sessions.engine.dispose()


LOGIN = ("CRMID", "ada")


def test_a_stolen_number_brings_nobody_the_messages_of_its_owner(world: World) -> None:
    world.set_up(SHARED)
    hers = world.proof("ada", HERS)
    world.send(HERS, LOGIN, token="hers", proofs=hers)

    replies = [
        world.send(THEIRS, LOGIN, token="theirs"),
        world.send(THEIRS, LOGIN, token="theirs", proofs=hers),
        world.send(THEIRS, LOGIN, token="theirs", proofs=world.proof("bob", THEIRS)),
        world.send(THEIRS, LOGIN, token="theirs", proofs=world.proof("ada", THEIRS, key="x" * 32)),
        world.consent(THEIRS, LOGIN),
    ]

    assert [each.status for each in replies] == [200] * 5
    assert world.owner("theirs") == identity_key("ECID", THEIRS)
    assert world.logged_in(THEIRS) is None
    assert world.tokens_of(ADA) == ["hers"]
    assert world.refusals() == [
        ("CRMID", "loginProofMissing"),
        ("CRMID", "loginProofWrongDevice"),
        ("CRMID", "loginProofWrongPerson"),
        ("CRMID", "loginProofBadSignature"),
        ("CRMID", "loginProofMissing"),
    ]


def warnings_of(reply: Reply) -> list[tuple[str, int | None]]:
    """Return the reasons of an answer's warnings and where each stands."""
    found = reply.json().get("warnings", [])
    return [
        (each["report"]["cause"]["message"], each["report"].get("eventIndex")) for each in found
    ]


@pytest.mark.parametrize("mode", ["required", "optional"])
def test_a_strangers_consent_leaves_the_person_whom_it_names_alone(world: World, mode: str) -> None:
    world.set_up({**SHARED, "mode": mode})
    world.send(HERS, LOGIN, token="hers", proofs=world.proof("ada", HERS))

    reply = world.consent(THEIRS, LOGIN)

    assert world.marketing(*LOGIN) is None
    assert world.marketing("ECID", THEIRS) == "n"
    assert warnings_of(reply) == [("loginProofMissing", None)]
    (entry,) = world.audited()
    assert entry["facts"].keys() == {"namespace", "ecid", "requestId"}
    assert entry["facts"]["ecid"] == THEIRS


@pytest.mark.parametrize("mode", ["required", "optional"])
def test_whoever_has_proved_the_login_speaks_for_the_person(world: World, mode: str) -> None:
    world.set_up({**SHARED, "mode": mode})
    world.send(HERS, LOGIN, token="hers", proofs=world.proof("ada", HERS))

    reply = world.consent(HERS, LOGIN)
    world.send(HERS, logged_out=LOGIN)

    assert warnings_of(reply) == []
    assert world.refusals() == []
    assert world.marketing(*LOGIN) == "n"
    assert world.marketing("ECID", HERS) is None


@pytest.mark.parametrize("mode", ["required", "optional"])
def test_a_consent_of_people_only_is_refused_where_they_have_to_prove_it(
    world: World, mode: str
) -> None:
    world.set_up({**SHARED, "mode": mode})

    reply = world.consent(None, LOGIN)

    assert reply.status == 400
    assert reply.json()["type"].endswith("EXEG-0305-400")
    assert "ECID" in reply.json()["detail"]


def test_a_refused_proof_is_told_where_it_stands_and_audited_with_its_request(
    world: World,
) -> None:
    world.set_up(SHARED)

    reply = world.send(THEIRS, LOGIN, proofs=world.proof("ada", HERS))

    assert warnings_of(reply) == [("loginProofWrongDevice", 0)]
    (entry,) = world.audited()
    assert entry["facts"] == {
        "namespace": "CRMID",
        "ecid": THEIRS,
        "requestId": reply.json()["requestId"],
    }


def test_a_proof_that_lives_too_long_is_told_so(world: World) -> None:
    world.set_up(SHARED)

    reply = world.send(HERS, LOGIN, proofs=world.proof("ada", HERS, life_s=601))

    assert warnings_of(reply) == [("loginProofTooLong", 0)]


def test_whoever_proves_the_login_gets_the_messages(world: World) -> None:
    world.set_up(SHARED)
    world.send(HERS, LOGIN, token="hers", proofs=world.proof("ada", HERS))

    world.send(THEIRS, LOGIN, token="theirs", proofs=world.proof("ada", THEIRS))

    assert world.owner("theirs") == ADA
    assert world.tokens_of(ADA) == ["hers", "theirs"]
    assert world.refusals() == []


def test_events_after_the_proof_need_none(world: World) -> None:
    world.set_up(SHARED)
    world.send(HERS, LOGIN, token="hers", proofs=world.proof("ada", HERS))
    world.clock.advance(timedelta(days=20).total_seconds())

    replies = [world.send(HERS, LOGIN) for _ in range(3)]
    world.consent(HERS, LOGIN)
    world.send(HERS, LOGIN, token="newer")

    assert world.logged_in(HERS) == ADA
    assert world.tokens_of(ADA) == ["newer"]
    assert world.refusals() == []
    assert [warnings_of(each) for each in replies] == [[]] * 3


def test_an_email_proved_beside_the_number_stays_proved(world: World) -> None:
    world.set_up(SHARED)
    mail = ("Email", "ada@shop.test")
    proofs = [world.proof("ada", HERS, ns="CRMID"), world.proof(mail[1], HERS, ns="Email")]
    world.send(HERS, LOGIN, mail, token="hers", proofs=proofs)

    world.send(HERS, LOGIN, mail)

    assert world.tokens_of(ADA) == world.tokens_of(identity_key(*mail)) == ["hers"]
    assert world.refusals() == []


def test_a_logout_ends_what_was_proved(world: World) -> None:
    world.set_up(SHARED)
    world.send(HERS, LOGIN, token="hers", proofs=world.proof("ada", HERS))
    world.send(HERS)

    world.send(HERS, LOGIN)

    assert world.logged_in(HERS) is None
    assert world.tokens_of(ADA) == []
    assert world.refusals() == [("CRMID", "loginProofMissing")]


def test_somebody_elses_unproved_login_does_not_take_a_proved_device(world: World) -> None:
    world.set_up(SHARED)
    world.send(HERS, LOGIN, token="hers", proofs=world.proof("ada", HERS))

    world.send(HERS, ("CRMID", "bob"))

    assert world.logged_in(HERS) == ADA
    assert world.owner("hers") == ADA
    assert world.refusals() == [("CRMID", "loginProofMissing")]


def test_a_proof_that_comes_late_is_expired_and_a_new_one_heals_it(world: World) -> None:
    world.set_up(SHARED)
    old = world.proof("ada", HERS)
    world.clock.advance(timedelta(hours=1).total_seconds())

    world.send(HERS, LOGIN, token="hers", proofs=old)
    before = world.owner("hers")
    world.send(HERS, LOGIN, proofs=world.proof("ada", HERS))

    assert before == identity_key("ECID", HERS)
    assert world.owner("hers") == ADA
    assert world.refusals() == [("CRMID", "loginProofExpired")]


def test_no_proof_is_stored_or_logged(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    world.set_up(SHARED)
    proofs = [world.proof("ada", HERS), world.proof("ada", HERS, key="x" * 32)]

    replies = [world.send(HERS, LOGIN, proofs=each) for each in proofs]

    stored = [(each.data, each.xdm) for each in world.events()]
    assert [data for data, _ in stored] == [{"basket": 3}] * 2
    seen = json.dumps(stored) + caplog.text + "".join(capsys.readouterr())
    seen += "".join(each.body.decode() for each in replies)
    seen += world.admin.get("/audit/entries").text
    assert not any(each.split(".")[1] in seen for each in proofs)


def test_an_event_that_is_sent_again_is_proved_by_the_first(world: World) -> None:
    world.set_up(SHARED)
    text, key = world.proof("ada", HERS), str(uuid4())
    world.send(HERS, LOGIN, token="hers", proofs=text, event_id=key)
    world.clock.advance(timedelta(hours=1).total_seconds())

    again = world.send(HERS, LOGIN, token="hers", proofs=text, event_id=key)

    assert world.owner("hers") == ADA
    assert len(world.events()) == 1
    assert warnings_of(again) == []


def test_where_proofs_are_optional_a_wrong_one_does_not_count(world: World) -> None:
    world.set_up({**SHARED, "mode": "optional"})
    world.send(HERS, LOGIN, token="hers")
    world.send(THEIRS, LOGIN, token="theirs", proofs=world.proof("ada", HERS))

    assert world.owner("hers") == ADA
    assert world.owner("theirs") == identity_key("ECID", THEIRS)
    assert world.refusals() == [("CRMID", "loginProofWrongDevice")]


def test_while_it_is_off_a_login_counts_and_the_data_is_the_apps_own(world: World) -> None:
    world.set_up({"mode": "off"})

    world.send(HERS, LOGIN, token="hers", proofs="x.y.z")

    assert world.owner("hers") == ADA
    assert [(each.data or {}).get("loginProof") for each in world.events()] == ["x.y.z"]


def test_switching_it_on_is_followed_within_five_seconds(world: World) -> None:
    world.set_up({"mode": "off"})
    world.send(HERS, LOGIN, token="hers")
    key = {"mode": "required", "algorithms": ["ES256"], "publicKey": pem_of(EC)}
    world.admin.patch(f"/datastreams/{world.datastream}", json={"loginProof": key})
    world.clock.advance(5)

    world.send(THEIRS, LOGIN, token="theirs")
    right = world.proof("ada", ecid(3).value, key=EC, algorithm="ES256")
    world.send(ecid(3).value, LOGIN, token="third", proofs=right)

    assert world.owner("theirs") == identity_key("ECID", THEIRS)
    assert world.tokens_of(ADA) == ["hers", "third"]


def test_keys_that_cannot_be_fetched_refuse_the_login_and_nothing_else(world: World) -> None:
    with closed_port() as port:
        url = f"https://127.0.0.1:{port}/keys"
        world.set_up({"mode": "required", "algorithms": ["ES256"], "jwksUrl": url})
        text = world.proof("ada", HERS, key=EC, algorithm="ES256", kid="a")
        begun = time.monotonic()

        replies = [world.send(HERS, LOGIN, token="hers", proofs=text) for _ in range(3)]

        assert time.monotonic() - begun < 5
    assert [each.status for each in replies] == [200] * 3
    assert world.owner("hers") == identity_key("ECID", HERS)
    assert world.refusals() == [("CRMID", "loginProofKeyUnavailable")] * 3


def test_events_after_the_proof_are_the_persons_and_not_the_devices(world: World) -> None:
    world.set_up(SHARED)
    mail = ("Email", "ada@shop.test")
    proofs = [world.proof("ada", HERS, ns="CRMID"), world.proof(mail[1], HERS, ns="Email")]
    world.send(HERS, LOGIN, mail, token="hers", proofs=proofs)

    world.send(HERS, LOGIN, mail)
    world.send(HERS, mail)
    world.send(HERS)
    world.send(HERS, LOGIN)

    hung = [each.identity_id for each in world.events()]
    device = identity_key("ECID", HERS)
    assert hung == [ADA, ADA, identity_key(*mail), device, device]


def test_a_strangers_address_beside_a_proved_login_brings_nothing(world: World) -> None:
    world.set_up(SHARED)
    mail, mallory = ("Email", "ada@shop.test"), ("CRMID", "mallory")
    world.send(HERS, mail, token="hers", proofs=world.proof(mail[1], HERS))
    world.send(THEIRS, mallory, token="theirs", proofs=world.proof("mallory", THEIRS))

    world.send(THEIRS, mallory, mail, proofs=world.proof("mallory", THEIRS))
    world.send(THEIRS, mallory, mail)
    world.send(ecid(3).value, ("CRMID", "nobody"), mail)

    assert world.tokens_of(identity_key(*mail)) == ["hers"]
    assert world.tokens_of(identity_key(*mallory)) == ["theirs"]
