"""The tokens of live activities that deliveries go to, in place of push tokens."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from sqlalchemy.orm import Session

from service.outbound import action_parameters
from service.outbound.actions import Action
from service.outbound.adapters.contract import MessageContext, variables
from service.outbound.live_activity import LiveActivity
from service.outbound.templating import TemplateError, render_text
from service.profiles import live_activity_targets
from service.profiles.lookups import OwnedToken
from service.sandboxes.scope import Scope


def read_tokens(
    session: Session,
    scope: Scope,
    action: Action,
    activity: LiveActivity,
    asked: Mapping[UUID, tuple[UUID, MessageContext]],
) -> dict[UUID, tuple[OwnedToken, ...]]:
    """Return for each delivery the tokens of the live activity that its message is about.

    ``asked`` has each delivery's identity and message. One whose activity cannot be named for this
    person has no tokens.
    """
    named: dict[UUID, tuple[UUID, str]] = {}
    for delivery_id, (identity_id, context) in asked.items():
        name = _name(action, activity, context)
        if name:
            named[delivery_id] = (identity_id, name)
    found = live_activity_targets.of_named(session, scope, activity.kind, named.values())
    return {
        delivery_id: tuple(_fitted(token, action) for token in found.get(place, ()))
        for delivery_id, place in named.items()
    }


def _name(action: Action, activity: LiveActivity, context: MessageContext) -> str:
    try:
        declared = action.spec.parameters
        parameters = action_parameters.values_of(declared, context.parameters)
        values = variables(replace(context, parameters=parameters))
        return render_text(activity.address, values).strip()
    except TemplateError:
        return ""


def _fitted(token: OwnedToken, action: Action) -> OwnedToken:
    """Return a token with the action's app and platform where it was announced without."""
    app_id = token.app_id or action.app_id or ""
    return replace(token, app_id=app_id, platform=token.platform or action.platform or "")
