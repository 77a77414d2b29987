"""What vendors' receipts say, in our words; read after their signature was checked.

Source: Twilio, Outbound message status in status callbacks; SendGrid, Event Webhook reference;
OneSignal, Event Streams; Standard Webhooks 1.0.0. service/decisions/0025-after-the-send.md.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from service.core import json
from service.core.errors import InvalidInputError
from service.core.ids import parse_key
from service.outbound.feedback import FeedbackStatus, Receipt, text_of
from service.outbound.interactions import LONGEST_ACTION_ID, Interaction, InteractionKind
from service.outbound.outcomes import classify
from service.outbound.receipt_signatures import ReceiptRequest
from service.outbound.transport import Reply, ReplyKind

_RECEIVED = Interaction(InteractionKind.RECEIVED)
_OPENED = Interaction(InteractionKind.OPENED, opens_app=True)
_OPT_OUTS = frozenset(
    {"twilio.400.opted_out", "twilio.code.channel_opted_out", "twilio.code.blocked"}
)
_SAID: Mapping[str, tuple[FeedbackStatus, Interaction | None]] = {
    "sent": (FeedbackStatus.SENT, None),
    "processed": (FeedbackStatus.SENT, None),
    "deferred": (FeedbackStatus.DELAY, None),
    "delivered": (FeedbackStatus.DELIVERED, _RECEIVED),
    "received": (FeedbackStatus.DELIVERED, _RECEIVED),
    "undelivered": (FeedbackStatus.BOUNCE, None),
    "bounce": (FeedbackStatus.BOUNCE, None),
    "bounced": (FeedbackStatus.BOUNCE, None),
    "failed": (FeedbackStatus.ERROR, None),
    "canceled": (FeedbackStatus.ERROR, None),
    "dropped": (FeedbackStatus.ERROR, None),
    "read": (FeedbackStatus.READ, _OPENED),
    "open": (FeedbackStatus.READ, _OPENED),
    "opened": (FeedbackStatus.READ, _OPENED),
    "click": (FeedbackStatus.READ, Interaction(InteractionKind.CUSTOM_ACTION)),
    "clicked": (FeedbackStatus.READ, Interaction(InteractionKind.CUSTOM_ACTION)),
}
_UNSUBSCRIBES = frozenset(
    {
        "unsubscribe",
        "unsubscribed",
        "group_unsubscribe",
        "spamreport",
        "reported_as_spam",
    }
)
_SUPPRESSED = ("unsubscribed", "spam reporting")


def read_twilio(request: ReceiptRequest, now: datetime) -> list[Receipt]:
    """Return what a status callback says; our id comes back in its URL."""
    form = parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    said = {name: values[0] for name, values in form.items()}
    word, code = said.get("MessageStatus", ""), said.get("ErrorCode", "")
    named = request.query.get("deliveryId", ("",))[0]
    name = f"{said.get('MessageSid', '')}:{word}:{code}"
    return [_receipt(name, named, now, word, reason=code or None, opts_out=_is_opt_out(code, now))]


def read_sendgrid(request: ReceiptRequest, now: datetime) -> list[Receipt]:
    """Return what a batch of events says; our id is among their custom arguments."""
    found: list[Receipt] = []
    for event in _objects(request.body):
        word, why = str(event.get("event", "")), str(event.get("reason", ""))
        is_suppressed = word == "dropped" and why.lower().startswith(_SUPPRESSED)
        kind = event.get("type") if word == "bounce" else None
        found.append(
            _receipt(
                event.get("sg_event_id"),
                event.get("deliveryId"),
                _moment(event.get("timestamp"), now),
                word,
                reason=kind or event.get("status") or (why if word == "dropped" else None),
                opts_out=is_suppressed or word in _UNSUBSCRIBES,
                action_id=event.get("url") if word == "click" else None,
                denylisted=is_suppressed,
            )
        )
    return found


def read_one_signal(request: ReceiptRequest, now: datetime) -> list[Receipt]:
    """Return what events say; our id is the message's name.

    Their stream is told to send ``event`` with ``id``, ``kind`` and ``timestamp``, and ``message``
    with ``name``.
    """
    found: list[Receipt] = []
    for each in _objects(request.body):
        event, message = _object(each.get("event")), _object(each.get("message"))
        word = str(event.get("kind", "")).rpartition(".")[2]
        at = _moment(event.get("timestamp"), now)
        found.append(
            _receipt(
                event.get("id"),
                message.get("name"),
                at,
                word,
                reason=event.get("reason"),
                opts_out=word in _UNSUBSCRIBES,
            )
        )
    return found


def read_generic(request: ReceiptRequest, now: datetime) -> list[Receipt]:
    """Return what an event says: ``type`` ends with our word, ``data`` holds ``deliveryId``."""
    found: list[Receipt] = []
    for event in _objects(request.body):
        data = _object(event.get("data"))
        word = str(event.get("type", "")).rpartition(".")[2]
        found.append(
            _receipt(
                request.header("webhook-id"),
                data.get("deliveryId"),
                _moment(event.get("timestamp"), now),
                word,
                reason=data.get("reason"),
                opts_out=word in _UNSUBSCRIBES,
                action_id=data.get("actionId"),
            )
        )
    return found


READERS: Final[Mapping[str, Callable[[ReceiptRequest, datetime], list[Receipt]]]] = {
    "twilio": read_twilio,
    "sendgrid": read_sendgrid,
    "oneSignal": read_one_signal,
    "generic": read_generic,
}


def _receipt(
    name: Any,
    delivery_id: Any,
    at: datetime,
    word: str,
    *,
    reason: Any = None,
    opts_out: bool = False,
    action_id: Any = None,
    denylisted: bool = False,
) -> Receipt:
    status, interaction = _SAID.get(word, (None, None))
    if interaction is not None and isinstance(action_id, str) and action_id:
        label = action_id.replace("\0", "")[:LONGEST_ACTION_ID]
        interaction = Interaction(interaction.kind, label, interaction.opens_app)
    key = parse_key(delivery_id) if isinstance(delivery_id, str) else None
    spelled = name if isinstance(name, str) and name else f"{key}:{word}:{at.isoformat()}"
    return Receipt(
        event_id=hashlib.sha256(spelled.encode("utf-8", "replace")).hexdigest(),
        delivery_id=key,
        at=at,
        status=FeedbackStatus.DENYLIST if denylisted else status,
        reason=text_of(reason),
        interaction=interaction,
        opts_out=opts_out,
    )


def _is_opt_out(code: str, now: datetime) -> bool:
    if not code.isdecimal():
        return False
    body = json.encode({"code": int(code[:9])})
    return classify("twilio", Reply("", ReplyKind.ANSWERED, 400, body=body), now=now).rule_id in (
        _OPT_OUTS
    )


def _objects(body: bytes) -> list[Mapping[str, Any]]:
    try:
        found = json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError("The receipt is no JSON.") from error
    listed = found if isinstance(found, list) else [found]
    return [each for each in listed if isinstance(each, Mapping)]


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _moment(value: Any, now: datetime) -> datetime:
    """Return a vendor's moment, in epoch seconds or ISO 8601; never later than now."""
    try:
        if isinstance(value, str) and not value.isdecimal():
            at = datetime.fromisoformat(value)
            return min(at if at.tzinfo else at.replace(tzinfo=UTC), now)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return min(datetime.fromtimestamp(float(value), UTC), now)
    except (ValueError, OverflowError, OSError):
        pass
    return now
