"""One renderer for whatever is sent: deliveries, previews and test requests."""

from dataclasses import replace
from datetime import datetime

from service.outbound import action_parameters
from service.outbound.adapters.contract import ActionSpec, MessageContext
from service.outbound.adapters.registry import get_adapter
from service.outbound.transport import CallParts


def render(action: ActionSpec, context: MessageContext, *, now: datetime) -> CallParts:
    """Return the request of one message, without its proof; equal input gives equal bytes.

    Raises:
        ParameterError: What the node gave is not what the action declares.
        TemplateError: A variable is missing, or the message breaks a limit of the vendor.
    """
    parameters = action_parameters.values_of(action.parameters, context.parameters)
    context = replace(context, parameters=parameters)
    return get_adapter(action.adapter).render(action, context, now=now)
