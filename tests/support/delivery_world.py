"""People with tokens inside a journey, an action, and deliveries that are due to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from service.core.clock import Clock
from service.core.ids import derived_key, new_key
from service.core.json import JsonObject
from service.core.secret import Keyring, new_secret_key
from service.db.session import SessionFactory, unit_of_work
from service.flows.delivery_lane import LaneRunner
from service.flows.delivery_steps import DeliveryTools
from service.flows.vendor_token_store import VendorTokenStore
from service.identity.models import Identity
from service.journeys.models import JourneyInstance, JourneyStimulus, StepEvent
from service.ledger import balance, entries
from service.ledger.balance import BalanceSheet
from service.outbound import deliveries, endpoint_configs
from service.outbound.action_auth import ActionSecrets
from service.outbound.actions import ActionBook, ActionDirectory
from service.outbound.auth import VendorTokens
from service.outbound.dead_letters import DeadLetters
from service.outbound.deliveries import Lane, NewDelivery
from service.outbound.egress import AddressGuard
from service.outbound.endpoint_directory import EndpointDirectory
from service.outbound.models import Delivery, DeliveryAttempt, DeliveryDue
from service.outbound.new_action import NewAction
from service.outbound.shared_tokens import SharedTokens
from service.outbound.transport import Transport
from service.outbound.transport_form import AskToken
from service.profiles.models import Profile, PushToken
from service.sandboxes.scope import Scope
from tests.support.vendor_tokens import no_token_endpoint

URL = "https://push.example/send"
JOURNEY_ID = UUID("0197c000-0000-7000-8000-0000000000a1")
VERSION_ID = UUID("0197c000-0000-7000-8000-0000000000a2")
NODE_ID = "send-push"
PUSH = NewAction(
    name="generic_push",
    adapter="push",
    url=URL,
    payload={"to": "{{ token }}", "text": "Hi {{ profile.person.name }}"},
    auth={"type": "apiKey", "name": "X-API-Key", "value": "stub-api-key"},
)


@dataclass
class DeliveryWorld:
    """One sandbox with one journey version whose node sends through one action."""

    store: SessionFactory
    scope: Scope
    clock: Clock
    transport: Transport
    worker: str = "worker-1"
    people: dict[str, UUID] = field(default_factory=dict)
    key: str = field(default_factory=new_secret_key)
    url: str = URL
    token_endpoint: AskToken = no_token_endpoint

    def __post_init__(self) -> None:
        """Build what delivering uses."""
        self.book = ActionBook(
            ActionSecrets(Keyring.of([self.key]), {}), AddressGuard.of("127.0.0.0/8")
        )
        self.action_id = UUID(int=0)
        self.tools = self.tools_of(self.worker)

    def tools_of(self, worker: str, transport: Transport | None = None) -> DeliveryTools:
        """Return another process's tools."""
        return DeliveryTools(
            sessions=self.store,
            clock=self.clock,
            transport=transport or self.transport,
            actions=ActionDirectory(self.book, self.clock),
            endpoints=EndpointDirectory(self.clock),
            tokens=self.tokens_of(),
            letters=DeadLetters(Keyring.of([self.key]), timedelta(days=7)),
            watch=None,
            worker=worker,
        )

    def tokens_of(self) -> VendorTokens:
        """Return another process's tokens: kept in the store, asked for at ``token_endpoint``."""
        keyring = Keyring.of([self.key])
        shared = SharedTokens(VendorTokenStore(self.store, keyring), self.clock)
        return VendorTokens(shared, self.token_endpoint, self.clock, keyring.fingerprint)

    @property
    def lane(self) -> Lane:
        """The action's lane."""
        return Lane(self.scope, self.action_id)

    def add_action(self, new: NewAction = PUSH) -> UUID:
        """Save the action that the node sends through."""
        with unit_of_work(self.store) as session:
            placed = replace(new, url=self.url)
            row = self.book.create(session, self.scope, placed, now=self.clock.now())
            self.action_id = row.id
        return self.action_id

    def cap(self, count: int, period_ms: int = 60_000, connections: int = -1, **own: Any) -> UUID:
        """Deploy a cap for the action's URL; ``own`` are our terms, such as ``onExceed``."""
        service = {
            "maxHttpConnections": connections,
            "rating": {"maxCallsCount": count, "periodInMs": period_ms},
        }
        document: Any = {"url": self.url, "methods": ["POST"], "services": {"action": service}}
        if own:
            document["_edgepost"] = own
        with unit_of_work(self.store) as session:
            config = endpoint_configs.create(session, self.scope, document, now=self.clock.now())
            endpoint_configs.deploy(session, self.scope, config.id, now=self.clock.now())
            return config.id

    def add_person(
        self, name: str, attributes: JsonObject | None = None, tokens: int = 1, **token: Any
    ) -> UUID:
        """Add a known person with push tokens ``<name>-token-<n>``; return the identity's key."""
        now = self.clock.now()
        key = derived_key("CRMID", name)
        view = {"person": {"name": name}, **(attributes or {})}
        common = {"sandbox_id": self.scope.sandbox_id}
        identity = {"namespace": "CRMID", "value": name, "graph_id": key, "profile_id": key}
        with unit_of_work(self.store) as session:
            session.add(Identity(**common, id=key, **identity, had_login=True, created_at=now))
            session.add(
                Profile(
                    **common, id=key, attributes=view, is_test=False, created_at=now, updated_at=now
                )
            )
            for number in range(tokens):
                session.add(self._token(key, f"{name}-token-{number}", token))
        self.people[name] = key
        return key

    def _token(self, owner: UUID, text: str, changes: Mapping[str, Any]) -> PushToken:
        now = self.clock.now()
        row = {
            "sandbox_id": self.scope.sandbox_id,
            "app_id": "com.example.shop",
            "platform": "fcm",
            "token": text,
            "device_id": new_key(),
            "announced_at": now,
            "announced_event": text,
            "logout_policy": "detach",
            "owner_id": owner,
            "registered_at": now - timedelta(minutes=1),
            **changes,
        }
        return PushToken(id=derived_key(row["app_id"], row["platform"], text), **row)

    def enter(
        self,
        *names: str,
        expires_in_s: float = 3600,
        timeout_ms: int = 30_000,
        parameters: JsonObject | None = None,
        journey_id: UUID = JOURNEY_ID,
    ) -> list[UUID]:
        """Let people into a journey up to the node: instance, steps, ledger and delivery."""
        with unit_of_work(self.store) as session:
            new = [self._instance(session, self.people[name]) for name in names]
            made = [
                NewDelivery(
                    instance_id=instance_id,
                    node_id=NODE_ID,
                    journey_id=journey_id,
                    journey_version_id=VERSION_ID,
                    action_id=self.action_id,
                    identity_id=identity_id,
                    parameters=parameters or {},
                    timeout_ms=timeout_ms,
                    expires_at=self.clock.now() + timedelta(seconds=expires_in_s),
                )
                for instance_id, identity_id in new
            ]
            deliveries.create(session, self.scope, made, now=self.clock.now())
            entries.append(
                session,
                self.scope,
                entries.people_entered(VERSION_ID, len(new)),
                now=self.clock.now(),
            )
        return [each.id for each in made]

    def _instance(self, session: Session, identity_id: UUID) -> tuple[UUID, UUID]:
        now, instance_id = self.clock.now(), new_key()
        common = {"sandbox_id": self.scope.sandbox_id}
        session.execute(
            insert(JourneyInstance).values(
                **common,
                id=instance_id,
                journey_id=JOURNEY_ID,
                version_id=VERSION_ID,
                identity_id=identity_id,
                state={"context": {"event": {"eventType": "cart.abandoned"}}},
                status="inside",
                seed=1,
                entered_at=now,
                expires_at=now + timedelta(days=91),
            )
        )
        steps = [
            {
                **common,
                "id": new_key(),
                "instance_id": instance_id,
                "journey_version_id": VERSION_ID,
                "node_id": NODE_ID,
                "sequence": sequence,
                "kind": kind,
                "at": now,
                "body": {},
            }
            for sequence, kind in enumerate(("entrance", "dispatch"), start=1)
        ]
        session.execute(insert(StepEvent), steps)
        return instance_id, identity_id

    def runner(self, slots: int = 50, tools: DeliveryTools | None = None) -> LaneRunner:
        """Return the lane at work, to be stepped."""
        return LaneRunner(tools or self.tools, self.lane, slots=slots)

    def deliver(self, slots: int = 50) -> dict[str, int]:
        """Deliver what is due now, wait for the answers, and return the states reached."""
        runner = self.runner(slots)
        runner.step()
        runner.close()
        return {str(state): count for state, count in sorted(runner.recorded.items())}

    def states(self) -> dict[str, int]:
        """Return how many deliveries are in each state."""
        counted = (
            select(Delivery.state, func.count())
            .where(Delivery.sandbox_id == self.scope.sandbox_id)
            .group_by(Delivery.state)
        )
        with unit_of_work(self.store) as session:
            return {row[0]: row[1] for row in session.execute(counted)}

    def delivery(self, delivery_id: UUID) -> Delivery:
        """Return one delivery."""
        with unit_of_work(self.store) as session:
            return session.scalars(
                select(Delivery).where(
                    Delivery.sandbox_id == self.scope.sandbox_id, Delivery.id == delivery_id
                )
            ).one()

    def attempts(self) -> list[DeliveryAttempt]:
        """Return every attempt, oldest first."""
        of_sandbox = DeliveryAttempt.sandbox_id == self.scope.sandbox_id
        found = select(DeliveryAttempt).where(of_sandbox).order_by(DeliveryAttempt.id)
        with unit_of_work(self.store) as session:
            return list(session.scalars(found))

    def due(self) -> list[DeliveryDue]:
        """Return what waits."""
        due = select(DeliveryDue).where(DeliveryDue.sandbox_id == self.scope.sandbox_id)
        with unit_of_work(self.store) as session:
            return list(session.scalars(due))

    def told(self) -> list[JsonObject]:
        """Return what instances were told."""
        found = (
            select(JourneyStimulus.payload)
            .where(JourneyStimulus.sandbox_id == self.scope.sandbox_id)
            .order_by(JourneyStimulus.id)
        )
        with unit_of_work(self.store) as session:
            return list(session.scalars(found))

    def balance(self) -> BalanceSheet:
        """Return the ledgers' balance."""
        with unit_of_work(self.store) as session:
            return balance.check(session, self.scope)

    def end_instances(self) -> None:
        """Let everybody's run be over, so that they may enter again."""
        ended = (
            update(JourneyInstance)
            .where(JourneyInstance.sandbox_id == self.scope.sandbox_id)
            .values(ended_at=self.clock.now(), status="finished")
        )
        with unit_of_work(self.store) as session:
            session.execute(ended)

    def change_owner(self, token: str, owner: UUID | None) -> None:
        """Give a token to another person, as a login does."""
        key = derived_key("com.example.shop", "fcm", token)
        with unit_of_work(self.store) as session:
            row = session.scalars(
                select(PushToken).where(
                    PushToken.sandbox_id == self.scope.sandbox_id, PushToken.id == key
                )
            ).one()
            row.owner_id = owner


def total(sheet: BalanceSheet) -> dict[str, int]:
    """Return the deliveries' ledger without what is 0."""
    return {
        account.entry: amount
        for account, amount in sheet.amounts.items()
        if account.book == entries.Book.DELIVERIES and amount
    }
