"""Which limits hold for a call, and what is in use under them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from marshmallow import fields, post_load, validate

from service.core.json import JsonObject
from service.outbound.endpoint_capping import ACTION, SERVICES
from service.outbound.endpoint_choice import Entry, Match
from service.outbound.endpoint_directory import Explained, Rate, RateKind
from service.outbound.endpoint_documents import METHODS, ConfigKind, OnExceed
from service.outbound.endpoint_usage import Usage
from service.outbound.models import EndpointConfig
from service.web.payloads.base import Payload


@dataclass(frozen=True, slots=True)
class AskedCall:
    """The call that is asked about."""

    url: str
    method: str
    service: str


class AskedCallSchema(Payload):
    """The call that is asked about."""

    url = fields.String(
        required=True,
        validate=validate.Length(1, 4096),
        metadata={
            "description": "An http or https URL; `*` for a part that only the call will know."
        },
    )
    method = fields.String(load_default="POST", validate=validate.OneOf(sorted(METHODS)))
    service = fields.String(load_default=ACTION, validate=validate.OneOf(sorted(SERVICES)))

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> AskedCall:
        """Return the call as a value."""
        return AskedCall(**values)


class MatchSchema(Payload):
    """A deployed configuration that holds for the call."""

    uid = fields.UUID(required=True)
    kind = fields.String(
        required=True, validate=validate.OneOf([each.value for each in ConfigKind])
    )
    url_pattern = fields.String(required=True, data_key="urlPattern")
    decides_rate = fields.Boolean(required=True, data_key="decidesRate")
    reason = fields.String(required=True)
    max_http_connections = fields.Integer(data_key="maxHttpConnections")


class PermitUseSchema(Payload):
    """What counts against a rate now."""

    permits_counted = fields.Integer(
        required=True,
        data_key="permitsCounted",
        metadata={"description": "Call starts that were granted and count, used or not."},
    )
    first_end_at = fields.AwareDateTime(
        data_key="firstEndAt", metadata={"description": "When the first of them counts no more."}
    )
    paused_until = fields.AwareDateTime(
        data_key="pausedUntil",
        metadata={"description": "Nothing is granted before: the store's clock was set."},
    )


class RateSchema(PermitUseSchema):
    """A rate that the call needs a permit under."""

    uid = fields.UUID(metadata={"description": "Its configuration; none for a built-in rate."})
    kind = fields.String(required=True, validate=validate.OneOf([each.value for each in RateKind]))
    max_calls_count = fields.Integer(
        required=True,
        data_key="maxCallsCount",
        metadata={"description": "EDGEPOST_HEADROOM_PERCENT is taken off."},
    )
    period_in_ms = fields.Integer(required=True, data_key="periodInMs")
    on_exceed = fields.String(
        required=True,
        data_key="onExceed",
        validate=validate.OneOf([each.value for each in OnExceed]),
    )
    expire_after_ms = fields.Integer(data_key="expireAfterMs")
    weights = fields.Dict(keys=fields.UUID(), values=fields.Integer())


class ConnectionUseSchema(Payload):
    """A limit of connections, and how many of them are leased."""

    uid = fields.UUID(required=True)
    max_http_connections = fields.Integer(required=True, data_key="maxHttpConnections")
    connections_leased = fields.Integer(required=True, data_key="connectionsLeased")


class ExplainedSchema(Payload):
    """Which configurations hold for a call, which of them decide its rate, and why."""

    url = fields.String(required=True)
    method = fields.String(required=True)
    service = fields.String(required=True)
    matches = fields.List(fields.Nested(MatchSchema), required=True)
    rates = fields.List(fields.Nested(RateSchema), required=True)
    connections = fields.List(fields.Nested(ConnectionUseSchema), required=True)


class LeaseSchema(Payload):
    """What one lane of one worker may hold open; 0 while it waits for a share."""

    worker = fields.String(required=True)
    connections = fields.Integer(required=True)
    expires_at = fields.AwareDateTime(required=True, data_key="expiresAt")


class ServiceUseSchema(PermitUseSchema):
    """What is in use under the deployed copy of a configuration, for one service."""

    service = fields.String(required=True)
    max_calls_count = fields.Integer(
        required=True,
        data_key="maxCallsCount",
        metadata={"description": "EDGEPOST_HEADROOM_PERCENT is taken off."},
    )
    period_in_ms = fields.Integer(required=True, data_key="periodInMs")
    max_http_connections = fields.Integer(data_key="maxHttpConnections")
    connections_leased = fields.Integer(required=True, data_key="connectionsLeased")
    leases = fields.List(fields.Nested(LeaseSchema), required=True)


class UsageSchema(Payload):
    """What is in use under one configuration; no service while it is not deployed."""

    uid = fields.UUID(required=True)
    kind = fields.String(
        required=True, validate=validate.OneOf([each.value for each in ConfigKind])
    )
    read_at = fields.AwareDateTime(required=True, data_key="readAt")
    services = fields.List(fields.Nested(ServiceUseSchema), required=True)


def explained_answer(
    asked: AskedCall, explained: Explained, used: Mapping[UUID, Usage]
) -> JsonObject:
    """Return what ``ExplainedSchema`` dumps; ``used`` holds every cap of the limits."""
    limits = explained.limits
    owners = {
        each.entry.connections.cap_id: each.entry.config_id
        for each in explained.matches
        if each.entry.connections is not None
    }
    return {
        "url": asked.url,
        "method": asked.method,
        "service": asked.service,
        "matches": [_match(each) for each in explained.matches],
        "rates": [_rate(each, used[each.cap.id]) for each in limits.rates],
        "connections": [
            {
                "uid": owners[each.cap_id],
                "max_http_connections": each.max_http_connections,
                "connections_leased": used[each.cap_id].connections,
            }
            for each in limits.connections
        ],
    }


def usage_answer(
    config: EndpointConfig,
    entries: Sequence[Entry],
    used: Mapping[UUID, Usage],
    *,
    headroom_percent: float,
    read_at: datetime,
) -> JsonObject:
    """Return what ``UsageSchema`` dumps; ``used`` holds every cap of the entries."""
    services = []
    for entry in entries:
        cap = entry.rate.cap.with_headroom(headroom_percent)
        usage = used[cap.id]
        answer = {
            "service": entry.service,
            "max_calls_count": cap.max_calls_count,
            "period_in_ms": cap.period_in_ms,
            "connections_leased": usage.connections,
            "leases": [
                {"worker": each.worker, "connections": each.slots, "expires_at": each.expires_at}
                for each in usage.leases
            ],
            **_permits(usage),
        }
        if entry.connections is not None:
            answer["max_http_connections"] = entry.connections.max_http_connections
        services.append(answer)
    return {"uid": config.id, "kind": config.kind, "read_at": read_at, "services": services}


def _match(match: Match) -> JsonObject:
    entry = match.entry
    answer: JsonObject = {
        "uid": entry.config_id,
        "kind": entry.kind,
        "url_pattern": entry.url,
        "decides_rate": match.decides,
        "reason": _reason(match),
    }
    if entry.connections is not None:
        answer["max_http_connections"] = entry.connections.max_http_connections
    return answer


def _reason(match: Match) -> str:
    kind = match.entry.kind
    if not match.decides:
        return f"A more specific {kind} pattern decides the rate; connection limits hold beside it."
    if match.is_whole:
        return f"The most specific {kind} pattern that covers the URL whatever its unknown parts."
    return f"The most specific {kind} pattern for some of what the unknown parts may be."


def _rate(rate: Rate, usage: Usage) -> JsonObject:
    answer: JsonObject = {
        "kind": rate.kind,
        "max_calls_count": rate.cap.max_calls_count,
        "period_in_ms": rate.cap.period_in_ms,
        "on_exceed": rate.on_exceed,
        **_permits(usage),
    }
    if rate.config_id is not None:
        answer["uid"] = rate.config_id
    if rate.expire_after is not None:
        answer["expire_after_ms"] = int(rate.expire_after.total_seconds() * 1000)
    if rate.weights:
        answer["weights"] = dict(rate.weights)
    return answer


def _permits(usage: Usage) -> JsonObject:
    answer: JsonObject = {"permits_counted": usage.permits}
    if usage.first_end_at is not None:
        answer["first_end_at"] = usage.first_end_at
    if usage.paused_until is not None:
        answer["paused_until"] = usage.paused_until
    return answer
