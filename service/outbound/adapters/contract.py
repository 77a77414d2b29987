"""What an adapter is: it renders an action for one person into a request, and reads the reply.

An adapter holds no state, opens nothing and knows no credentials: ``auth`` adds the proof, a lane
carries the call, ``outcomes`` knows what the vendor's codes mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.core.secret import Secret
from service.outbound.action_parameters import Parameters
from service.outbound.auth import AuthSpec
from service.outbound.connection_spec import DIRECT, ConnectionSpec
from service.outbound.egress import AddressGuard, Resolver
from service.outbound.outcomes import Outcome
from service.outbound.template_names import Names
from service.outbound.token_choice import ADDRESS_SETTINGS
from service.outbound.transport import CallParts, Headers, HttpVersion, Reply


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """A custom action as it is sent.

    Attributes:
        adapter: A name of the registry.
        url: Of adapters that call what their author writes, with templates in its path.
        headers: Names and templates of values.
        payload: A JSON tree whose strings are templates; empty for none.
        query: Names and templates of values, added to the URL.
        parameters: Declared ones; none takes whatever a journey's node gives.
        connection: How the destination is reached.
        timeout_ms: For one attempt, answer included.
        settings: The adapter's own, e.g. ``projectId``.
        app_id: Whose tokens it sends to; ``None`` for any app.
        platform: Which tokens; ``None`` for any platform.
    """

    name: str
    adapter: str
    method: str
    url: str
    headers: Headers = field(repr=False)
    payload: Any
    auth: AuthSpec
    timeout_ms: int
    settings: Mapping[str, Any]
    query: Headers = field(default=(), repr=False)
    connection: ConnectionSpec = DIRECT
    parameters: Parameters = ()
    app_id: str | None = None
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class MessageContext:
    """What one message is made of.

    Attributes:
        idempotency_key: The same for every attempt of the delivery.
        token: The push token, for the adapters that need one.
        token_app: The app that the token is of.
        identity: Namespace and value by which the person is in the journey.
        event: The event that brought the person into the journey; empty for segments.
        parameters: What the journey's node gave to the action, with the action's constants.
        expires_at: When the message has lost its meaning.
        created_at: When the message was decided on; ``None`` for one that never was.
    """

    delivery_id: UUID
    idempotency_key: str
    token: Secret | None
    profile: Mapping[str, Any] = field(repr=False)
    event: Mapping[str, Any] = field(repr=False)
    parameters: Mapping[str, Any] = field(repr=False)
    journey_version_id: UUID
    instance_id: UUID
    node_id: str
    expires_at: datetime
    identity: tuple[str, str] = field(default=("", ""), repr=False)
    token_app: str = ""
    created_at: datetime | None = None


class Adapter(Protocol):
    """One way of speaking to a vendor."""

    @property
    def name(self) -> str:
        """The name in the registry, and in stored actions."""
        ...

    @property
    def needs_token(self) -> bool:
        """Whether a message is for one push token, or for a person."""
        ...

    @property
    def http_version(self) -> HttpVersion:
        """What is spoken with the vendor."""
        ...

    @property
    def platforms(self) -> frozenset[str]:
        """The platforms of the push tokens that it can send to; none when it needs no token."""
        ...

    @property
    def setting_descriptions(self) -> Mapping[str, JsonObject]:
        """Its own settings by name, each with its JSON Schema, for the API's document."""
        ...

    def check(
        self, action: ActionSpec, guard: AddressGuard, resolve: Resolver | None = None
    ) -> None:
        """Refuse at save time an action that could not be sent for anyone.

        Raises:
            InvalidInputError: URL, method, header, payload, settings or authentication are wrong.
        """
        ...

    def render(self, action: ActionSpec, context: MessageContext, *, now: datetime) -> CallParts:
        """Return the request without its authentication; equal input gives equal bytes.

        Only where a message is encrypted for its recipient the body is another each time.

        Raises:
            TemplateError: A variable is missing, or the message breaks a limit of the vendor.
        """
        ...

    def read(self, reply: Reply, *, now: datetime) -> Outcome:
        """Return what the reply means."""
        ...


def refuse_unknown_setting(
    adapter: Adapter, settings: Mapping[str, Any], own: frozenset[str] = frozenset()
) -> None:
    """Let settings pass that are an adapter's ``own``; which token is chosen was read before.

    Raises:
        InvalidInputError: There is another one; the message names it and those that there are.
    """
    for name in sorted(settings.keys() - own):
        known = sorted(own | (ADDRESS_SETTINGS if adapter.needs_token else frozenset()))
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise InvalidInputError(
            f"The adapter {adapter.name} has no setting {name}: {has}.", setting=name
        )


def variable_names(adapter: Adapter) -> Names:
    """Return what templates of an adapter may name, as ``variables`` gives it a value."""
    names: dict[str, frozenset[str] | None] = {
        "profile": None,
        "event": None,
        "parameters": None,
        "identity": frozenset({"namespace", "value"}),
        "delivery": frozenset({"id", "idempotencyKey", "expiresAt"}),
        "journey": frozenset({"versionID", "instanceID", "nodeID"}),
        "tracking": frozenset({"cjm"}),
    }
    return names | ({"token": None} if adapter.needs_token else {})


def variables(context: MessageContext) -> JsonObject:
    """Return what templates may name: the README's table of template variables."""
    found: JsonObject = {
        "profile": context.profile,
        "event": context.event,
        "parameters": context.parameters,
        "identity": dict(zip(("namespace", "value"), context.identity, strict=True)),
        "delivery": {
            "id": str(context.delivery_id),
            "idempotencyKey": context.idempotency_key,
            "expiresAt": context.expires_at.isoformat(),
        },
        "journey": {
            "versionID": str(context.journey_version_id),
            "instanceID": str(context.instance_id),
            "nodeID": context.node_id,
        },
        "tracking": tracking(context),
    }
    if context.token is not None:
        found["token"] = context.token.reveal()
    return found


def tracking(context: MessageContext) -> JsonObject:
    """Return the XDM fragment that the SDK gives back in its tracking events.

    ``messageID`` is the delivery's id: by it an open finds its delivery.

    Source: AEP Messaging SDK, ``_xdm`` in a push payload.
    """
    execution = {
        "messageExecutionID": f"{context.journey_version_id}:{context.node_id}",
        "messageID": str(context.delivery_id),
        "journeyVersionID": str(context.journey_version_id),
        "journeyVersionInstanceID": str(context.instance_id),
    }
    experience = {"customerJourneyManagement": {"messageExecution": execution}}
    return {"cjm": {"_experience": experience}}
