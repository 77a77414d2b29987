"""Custom actions: how a third party is called, checked whole when saved, read whole when sent.

Source: Journey Optimizer, configure a custom action.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from service.core.clock import Clock
from service.core.errors import ConflictError, NotFoundError
from service.core.ids import new_key
from service.core.json import JsonObject
from service.outbound import (
    action_connection,
    action_parameters,
    action_target,
    auth,
    new_action,
    token_choice,
)
from service.outbound.action_auth import ActionSecrets, StoredAuth, shown_auth
from service.outbound.action_parameters import Parameters
from service.outbound.adapters.apns import ApnsAdapter
from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.registry import channel_of, comes_again, get_adapter
from service.outbound.answer_fields import Answers, parse_answers
from service.outbound.channels import Channel
from service.outbound.egress import AddressGuard, Resolver
from service.outbound.follow_up import OnBacklog, OnUnknown, Policy
from service.outbound.gates import Addressing
from service.outbound.live_activity import LiveActivity
from service.outbound.models import CustomAction
from service.outbound.new_action import NewAction
from service.outbound.sealed import Sealed
from service.sandboxes.scope import Scope


@dataclass(frozen=True, slots=True)
class Action:
    """An action ready to be sent; ``spec`` holds its secret.

    Attributes:
        app_id: Whose tokens it sends to; ``None`` for any app.
        platform: Which tokens; ``None`` for any platform.
        method: As called; decides with ``url`` which limits hold.
        url: As called, which for some adapters is not the one that was written; ``*`` stands in it
            for what varies with the message.
        channel: What marketing needs the person's consent for.
        live_activity: Set when tokens of live activities are sent to instead of push tokens.
        answers: Which fields of the answers a journey sees; ``None`` for small answers whole.
        timeout_ms: The whole budget of a delivery, retries included.
    """

    id: UUID
    spec: ActionSpec
    app_id: str | None
    platform: str | None
    needs_token: bool
    method: str
    url: str
    timeout_ms: int
    max_retries: int
    on_unknown: OnUnknown
    on_backlog: OnBacklog
    is_marketing: bool
    answers: Answers | None = None
    channel: Channel = Channel.PUSH
    live_activity: LiveActivity | None = None

    @property
    def addressing(self) -> Addressing:
        """What the gates ask of a recipient."""
        return Addressing(
            self.needs_token, self.is_marketing, self.app_id, self.platform, self.channel
        )

    @property
    def policy(self) -> Policy:
        """What may follow a call."""
        return Policy(self.max_retries, self.on_unknown)


class ActionBook:
    """Saves actions and reads them back; holds what both need: secrets and the address guard."""

    def __init__(
        self, secrets: ActionSecrets, guard: AddressGuard, resolve: Resolver | None = None
    ) -> None:
        self._secrets = secrets
        self._guard = guard
        self._resolve = resolve

    def create(
        self, session: Session, scope: Scope, new: NewAction, *, now: datetime
    ) -> CustomAction:
        """Keep a new action. The caller commits.

        Raises:
            InvalidInputError: A field, the URL, a template, a setting or the secret cannot be used.
            ConflictError: The name is taken.
        """
        stored = self._secrets.store(new.auth)
        row = CustomAction(sandbox_id=scope.sandbox_id, id=new_key(), created_at=now)
        return self._save(session, scope, row, new, stored, now)

    def update(
        self, session: Session, scope: Scope, action_id: UUID, new: NewAction, *, now: datetime
    ) -> CustomAction:
        """Overwrite an action; without a secret in ``auth`` the one it has stays.

        Raises:
            NotFoundError: There is none.
            InvalidInputError: As for ``create``.
            ConflictError: The name is another action's.
        """
        row = get(session, scope, action_id)
        stored = self._secrets.store(new.auth, _stored_auth(row))
        return self._save(session, scope, row, new, stored, now)

    def read(self, row: CustomAction) -> Action:
        """Return the action with its secret revealed.

        Raises:
            InvalidInputError: The environment lacks the secret.
            SecretKeyError: The secret needs a key that is not configured.
        """
        app_id, platform, settings = token_choice.split(row.settings)
        spec = ActionSpec(
            name=row.name,
            adapter=row.adapter,
            method=row.method,
            url=row.url,
            headers=tuple((name, value) for name, value in row.headers.items()),
            payload=row.payload,
            auth=self._secrets.reveal(_stored_auth(row)),
            connection=action_connection.reveal(_stored_connection(row), self._secrets.sealer),
            timeout_ms=row.timeout_ms,
            settings=settings,
            query=tuple((name, str(value)) for name, value in (row.query or {}).items()),
            parameters=action_parameters.from_stored(row.parameters),
            app_id=app_id,
            platform=token_choice.platform_of(get_adapter(row.adapter).platforms, platform),
        )
        target = action_target.of(spec)
        return Action(
            id=row.id,
            spec=spec,
            app_id=app_id,
            platform=spec.platform,
            needs_token=get_adapter(row.adapter).needs_token,
            method=target.method,
            url=target.url,
            timeout_ms=row.timeout_ms,
            max_retries=row.max_retries,
            on_unknown=OnUnknown.RETRY if comes_again(row.adapter) else OnUnknown(row.on_unknown),
            on_backlog=OnBacklog(row.on_backlog),
            is_marketing=row.is_marketing,
            answers=parse_answers(row.answers),
            channel=channel_of(row.adapter, settings),
            live_activity=LiveActivity.of(settings) if row.adapter == ApnsAdapter.name else None,
        )

    def _save(
        self,
        session: Session,
        scope: Scope,
        row: CustomAction,
        new: NewAction,
        stored: StoredAuth,
        now: datetime,
    ) -> CustomAction:
        new_action.check(new)
        if _is_taken(session, scope, new.name, row.id):
            raise ConflictError(f"There is a custom action {new.name} already.")
        row.name, row.adapter, row.method, row.url = new.name, new.adapter, new.method, new.url
        row.headers, row.payload = dict(new.headers), new.payload
        row.query = dict(new.query) or None
        row.parameters = [each.stored() for each in new.parameters] or None
        row.answers = dict(new.answers) or None
        row.auth, row.auth_secret, row.auth_secret_ref = (
            stored.auth,
            stored.ciphertext,
            stored.reference,
        )
        kept = _stored_connection(row)
        connection = action_connection.store(new.connection, kept, self._secrets.sealer, now=now)
        row.connection = None if connection is None else connection.shown
        row.connection_secret = None if connection is None else connection.ciphertext
        row.settings = dict(new.settings)
        row.timeout_ms, row.max_retries = new.timeout_ms, new.max_retries
        row.on_unknown, row.on_backlog = new.on_unknown.value, new.on_backlog.value
        row.is_marketing, row.updated_at = new.is_marketing, now
        spec = self.read(row).spec
        get_adapter(new.adapter).check(spec, self._guard, self._resolve)
        auth.check_urls(spec.auth, self._guard, self._resolve)
        action_connection.check_proxy(spec.connection, self._guard, self._resolve)
        written = (spec.headers, spec.query)
        templates = (spec.url, spec.payload, *map(dict, written), dict(spec.settings))
        action_parameters.check_names(spec.parameters, templates)
        session.add(row)
        session.flush()
        return row


class ActionDirectory:
    """Actions ready to be sent, read again when they are older than ``life_s``.

    Shared by the threads of a process. Its caller's transaction does the reading.
    """

    def __init__(self, book: ActionBook, clock: Clock, *, life_s: float = 1.0) -> None:
        self._book = book
        self._clock = clock
        self._life_s = life_s
        self._known: dict[tuple[int, UUID], tuple[float, datetime, Action]] = {}

    def find(self, session: Session, scope: Scope, action_id: UUID) -> Action | None:
        """Return an action, ``None`` when there is none of this id.

        Raises:
            InvalidInputError: Its secret is not in the environment.
            SecretKeyError: Its secret needs a key that is not configured.
        """
        key, now = (scope.sandbox_id, action_id), self._clock.monotonic()
        known = self._known.get(key)
        if known is not None and now - known[0] < self._life_s:
            return known[2]
        row = session.scalar(_of(scope).where(CustomAction.id == action_id))
        if row is None:
            self._known.pop(key, None)
            return None
        is_same = known is not None and known[1] == row.updated_at
        action = known[2] if known is not None and is_same else self._book.read(row)
        self._known[key] = (now, row.updated_at, action)
        return action


def get(session: Session, scope: Scope, action_id: UUID) -> CustomAction:
    """Return one action's row.

    Raises:
        NotFoundError: There is none of this id in the sandbox.
    """
    row = session.scalar(_of(scope).where(CustomAction.id == action_id))
    if row is None:
        raise NotFoundError(f"There is no custom action {action_id}.")
    return row


def lock(session: Session, scope: Scope, action_id: UUID) -> CustomAction:
    """Return one action's row, which nobody else changes or refers to until the transaction ends.

    Raises:
        NotFoundError: There is none of this id in the sandbox.
    """
    row = session.get(CustomAction, (scope.sandbox_id, action_id), with_for_update=True)
    if row is None:
        raise NotFoundError(f"There is no custom action {action_id}.")
    return row


def held_ids(session: Session, scope: Scope) -> tuple[UUID, ...]:
    """Return the id of every action; until the transaction ends none of them is deleted."""
    chosen = select(CustomAction.id).where(CustomAction.sandbox_id == scope.sandbox_id)
    held = chosen.order_by(CustomAction.id).with_for_update(read=True, key_share=True)
    return tuple(session.scalars(held))


def declared_parameters(session: Session, scope: Scope) -> dict[UUID, Parameters]:
    """Return what each action of a sandbox declares; an action without any is left out."""
    chosen = select(CustomAction.id, CustomAction.parameters).where(
        CustomAction.sandbox_id == scope.sandbox_id
    )
    rows = session.execute(chosen)
    return {row[0]: action_parameters.from_stored(row[1]) for row in rows if row[1]}


def list_all(session: Session, scope: Scope) -> tuple[CustomAction, ...]:
    """Return every action of a sandbox by name."""
    return tuple(session.scalars(_of(scope).order_by(CustomAction.name)))


def public_auth(row: CustomAction) -> JsonObject:
    """Return an action's authentication as answers may show it: how, never with what."""
    return shown_auth(_stored_auth(row))


def public_connection(row: CustomAction) -> JsonObject | None:
    """Return how an action is reached as answers may show it, without secrets."""
    return action_connection.shown(row.connection)


def _of(scope: Scope) -> Select[CustomAction]:
    return select(CustomAction).where(CustomAction.sandbox_id == scope.sandbox_id)


def _is_taken(session: Session, scope: Scope, name: str, by_other_than: UUID) -> bool:
    with session.no_autoflush:
        found = session.scalar(_of(scope).where(CustomAction.name == name))
    return found is not None and found.id != by_other_than


def _stored_auth(row: CustomAction) -> StoredAuth:
    return StoredAuth(row.auth, row.auth_secret, row.auth_secret_ref)


def _stored_connection(row: CustomAction) -> Sealed | None:
    if row.connection is None:
        return None
    return Sealed(row.connection, row.connection_secret)
