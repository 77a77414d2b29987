"""One person as the API shows it; a token appears by its last six characters.

Of a browser's subscription the push service is shown and the end of its endpoint: whoever knows
the endpoint may push to it, and the keys are nobody's business.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from marshmallow import fields, post_load, validate

from service.core.json import JsonObject
from service.core.secret import mask_token
from service.identity.models import Identity
from service.profiles import web_push
from service.profiles.live_activities import HeldLiveActivity, Kind
from service.profiles.lookups import ProfileView, TokenHistory
from service.profiles.models import PushToken, PushTokenOwner
from service.web.payloads.base import Payload

_ANNOUNCED = frozenset({"pushNotificationDetails", "liveActivityPushNotificationDetails"})


def _object() -> fields.Dict:
    return fields.Dict(
        keys=fields.String(),
        values=fields.Raw(allow_none=True),
        required=True,
    )


def _owned() -> fields.Boolean:
    return fields.Boolean(
        required=True,
        data_key="owned",
        metadata={"description": "Whether it belongs to this person now."},
    )


class IdentitySchema(Payload):
    """One identifier of a person."""

    namespace = fields.String(required=True)
    id = fields.String(required=True)
    first_seen_at = fields.AwareDateTime(required=True, data_key="firstSeenAt")


class TokenOwnerSchema(Payload):
    """Whom a token belonged to, from when to when, and why."""

    identity_id = fields.UUID(required=True, data_key="identityId")
    identity = fields.Nested(
        IdentitySchema,
        allow_none=True,
        required=True,
        metadata={"description": "Empty when it is not an identity of this person."},
    )
    from_at = fields.AwareDateTime(required=True, data_key="from")
    to_at = fields.AwareDateTime(required=True, allow_none=True, data_key="to")
    cause = fields.String(required=True)
    end_cause = fields.String(required=True, allow_none=True, data_key="endCause")


class PushTokenSchema(Payload):
    """A token of one of the person's devices, and everybody it belonged to, oldest first."""

    app_id = fields.String(required=True, data_key="appId")
    platform = fields.String(required=True)
    token = fields.String(
        required=True,
        metadata={
            "description": "Its last six characters; of a browser's, the push service and the "
            "last six of its endpoint.",
        },
    )
    is_owned = _owned()
    registered_at = fields.AwareDateTime(required=True, data_key="registeredAt")
    denylisted_at = fields.AwareDateTime(required=True, allow_none=True, data_key="denylistedAt")
    denylist_reason = fields.String(required=True, allow_none=True, data_key="denylistReason")
    owners = fields.List(fields.Nested(TokenOwnerSchema), required=True)


class LiveActivityTokenSchema(Payload):
    """Where one of the person's devices has live activities started or updated."""

    kind = fields.String(
        required=True,
        validate=validate.OneOf([each.value for each in Kind]),
        metadata={"description": "What it is good for: starting activities, or updating one."},
    )
    name = fields.String(
        required=True,
        metadata={"description": "`attributeType` to start, `liveActivityID` to update."},
    )
    app_id = fields.String(required=True, allow_none=True, data_key="appId")
    platform = fields.String(required=True, allow_none=True)
    token = fields.String(required=True, metadata={"description": "Its last six characters."})
    is_owned = _owned()
    registered_at = fields.AwareDateTime(required=True, data_key="registeredAt")
    denylisted_at = fields.AwareDateTime(required=True, allow_none=True, data_key="denylistedAt")


class ProfileSchema(Payload):
    """One person: the merged view, the identities in force and the tokens of their devices."""

    id = fields.UUID(required=True)
    is_test = fields.Boolean(required=True, data_key="testProfile")
    attributes = _object()
    identities = fields.List(fields.Nested(IdentitySchema), required=True)
    push_tokens = fields.List(fields.Nested(PushTokenSchema), required=True, data_key="pushTokens")
    live_activity_tokens = fields.List(
        fields.Nested(LiveActivityTokenSchema),
        required=True,
        data_key="liveActivityTokens",
    )
    created_at = fields.AwareDateTime(required=True, data_key="createdAt")
    updated_at = fields.AwareDateTime(required=True, data_key="updatedAt")


class EntitySchema(Payload):
    """A profile as the Profile API answers it."""

    entity_id = fields.UUID(required=True, data_key="entityId")
    entity = _object()
    last_modified_at = fields.AwareDateTime(required=True, data_key="lastModifiedAt")


class EntityArgumentsSchema(Payload):
    """Which entity: a profile by one of its identities."""

    schema_name = fields.String(
        required=True,
        data_key="schema.name",
        validate=validate.OneOf(["_xdm.context.profile"]),
    )
    entity_id = fields.String(required=True, data_key="entityId", validate=validate.Length(1, 1024))
    namespace = fields.String(required=True, data_key="entityIdNS", validate=validate.Length(1, 64))

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> tuple[str, str]:
        """Return namespace and id."""
        return values["namespace"], values["entity_id"]


def profile_answer(view: ProfileView) -> JsonObject:
    """Return what ``ProfileSchema`` dumps."""
    members = {member.id: member for member in view.identities}
    return {
        "id": view.profile.id,
        "is_test": view.profile.is_test,
        "attributes": without_tokens(view.profile.attributes),
        "identities": [_identity(member) for member in view.identities],
        "push_tokens": [_token(history, members) for history in view.tokens],
        "live_activity_tokens": [_live_activity(held, members) for held in view.live_activities],
        "created_at": view.profile.created_at,
        "updated_at": view.profile.updated_at,
    }


def entity_answer(view: ProfileView) -> JsonObject:
    """Return what ``EntitySchema`` dumps: attributes and identity map in XDM's shape."""
    identity_map: dict[str, list[dict[str, str]]] = {}
    for member in view.identities:
        identity_map.setdefault(member.namespace, []).append({"id": member.value})
    members = {member.id: member for member in view.identities}
    details = [
        {
            "appID": history.token.app_id,
            "platform": history.token.platform,
            "token": _shown(history.token),
            "denylisted": history.token.denylisted_at is not None,
        }
        for history in view.tokens
        if history.token.owner_id in members
    ]
    started = [
        {
            "appID": held.token.app_id,
            "platform": held.token.platform,
            "attributeType": held.token.name,
            "token": mask_token(held.token.token),
            "denylisted": held.token.denylisted_at is not None,
        }
        for held in view.live_activities
        if held.token.kind == Kind.START and held.owner_id in members
    ]
    entity = {
        **without_tokens(view.profile.attributes),
        "identityMap": identity_map,
        "pushNotificationDetails": details,
        "liveActivityPushNotificationDetails": started,
        "testProfile": view.profile.is_test,
    }
    return {
        "entity_id": view.profile.id,
        "entity": entity,
        "last_modified_at": view.profile.updated_at,
    }


def without_tokens(attributes: Mapping[str, Any]) -> JsonObject:
    """Return attributes without the tokens that an imported record may have carried."""
    return {name: each for name, each in attributes.items() if name not in _ANNOUNCED}


def _identity(member: Identity) -> dict[str, str | datetime]:
    return {
        "namespace": member.namespace,
        "id": member.value,
        "first_seen_at": member.created_at,
    }


def _token(history: TokenHistory, members: Mapping[UUID, Identity]) -> JsonObject:
    token = history.token
    return {
        "app_id": token.app_id,
        "platform": token.platform,
        "token": _shown(token),
        "is_owned": token.owner_id in members,
        "registered_at": token.registered_at,
        "denylisted_at": token.denylisted_at,
        "denylist_reason": token.denylist_reason,
        "owners": [_owner(owner, members) for owner in history.owners],
    }


def _shown(token: PushToken) -> str:
    is_browser = token.platform == web_push.PLATFORM
    subscription = web_push.read_subscription(token.token) if is_browser else None
    return subscription.masked() if subscription else mask_token(token.token)


def _live_activity(held: HeldLiveActivity, members: Mapping[UUID, Identity]) -> JsonObject:
    token = held.token
    return {
        "kind": token.kind,
        "name": token.name,
        "app_id": token.app_id,
        "platform": token.platform,
        "token": mask_token(token.token),
        "is_owned": held.owner_id in members,
        "registered_at": token.registered_at,
        "denylisted_at": token.denylisted_at,
    }


def _owner(owner: PushTokenOwner, members: Mapping[UUID, Identity]) -> JsonObject:
    member = members.get(owner.identity_id)
    return {
        "identity_id": owner.identity_id,
        "identity": None if member is None else _identity(member),
        "from_at": owner.from_at,
        "to_at": owner.to_at,
        "cause": owner.cause,
        "end_cause": owner.end_cause,
    }
