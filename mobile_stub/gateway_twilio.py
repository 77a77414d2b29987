"""Twilio's Programmable Messaging: ``Messages.json`` with its errors and its status callbacks.

Source: https://www.twilio.com/docs/messaging/api/message-resource,
https://www.twilio.com/docs/usage/security#validating-requests,
https://www.twilio.com/docs/iam/test-credentials.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qs, urldefrag, urlencode

from mobile_stub.gateway_callbacks import Callbacks
from mobile_stub.gateway_desk import Desk
from mobile_stub.gateway_dialect import Dialect
from mobile_stub.gateway_faults import Fault, FaultKind, Route
from mobile_stub.gateway_http import Reply, answer
from mobile_stub.gateway_vendors import VendorAnswer, faulty, success
from mobile_stub.gateway_wire import Request

ACCOUNT_SID: Final = "AC" + 32 * "5"
AUTH_TOKEN: Final = "stub-auth-token"  # noqa: S105 - handed out to every caller of this stub
_FORM = "application/x-www-form-urlencoded"
_PATH = re.compile(r"/2010-04-01/Accounts/([^/]+)/Messages\.json")
_ADDRESS = re.compile(r"(?:(?:whatsapp|messenger|rcs):)?\+?[0-9A-Za-z_.-]+")
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_MAX_CHARS = 1600
_STATUSES: Final[Mapping[str, int]] = {
    "20003": 401,
    "20404": 404,
    "20429": 429,
    "20500": 500,
    "20503": 503,
}
_SAID: Final[Mapping[str, str]] = {
    "20003": "Authenticate",
    "20404": "The requested resource was not found",
    "20429": "Too Many Requests",
    "21211": "Invalid 'To' Phone Number",
    "21212": "Invalid From Number (caller ID)",
    "21408": "Permission to send an SMS has not been enabled for the region of the 'To' number",
    "21602": "Message body is required.",
    "21603": "A 'From' phone number is required.",
    "21604": "A 'To' phone number is required.",
    "21606": "The 'From' phone number is not a valid, SMS-capable number of your account.",
    "21610": "Attempt to send to unsubscribed recipient",
    "21611": "This 'From' number has exceeded the maximum number of queued messages",
    "21612": "The 'To' phone number is not currently reachable using the 'From' phone number",
    "21614": "'To' number is not a valid mobile number",
    "21617": "The concatenated message body exceeds the 1600 character limit.",
}
_MAGIC_FROM: Final[Mapping[str, str]] = {
    "+15005550001": "21212",
    "+15005550007": "21606",
    "+15005550008": "21611",
}
_MAGIC_TO: Final[Mapping[str, str]] = {
    "+15005550001": "21211",
    "+15005550002": "21612",
    "+15005550003": "21408",
    "+15005550004": "21610",
    "+15005550009": "21614",
}


class TwilioRefusalError(Exception):
    """A message that Twilio does not take; the text is its code."""


class Twilio:
    """One account, whose numbers answer as Twilio's magic ones do."""

    def __init__(self, desk: Desk, url: str) -> None:
        self._desk = desk
        self._callbacks = Callbacks()
        pair = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode())
        self._authorization = b"Basic " + pair
        desk.vendors["twilio"] = {"url": url, "accountSid": ACCOUNT_SID, "authToken": AUTH_TOKEN}

    def send(self, request: Request) -> Reply:
        """Answer one request for a new message, and report on it where it asks for that."""
        try:
            form = self._check(request)
        except TwilioRefusalError as error:
            code = str(error)
            status = _STATUSES.get(code, 400)
            refused = VendorAnswer(status, answer(status, error_body(status, code)))
            return self._desk.remember(request, Route.TWILIO, None, refused, accepted_id=None)
        sid = f"{'MM' if 'MediaUrl' in form else 'SM'}{self._desk.next_serial():032x}"
        usual = success(_resource(sid, form), 201)
        address = form["To"]
        fault = self._desk.script.pick(Route.TWILIO, address)
        given = usual if fault is None else faulty(fault, TWILIO, usual)
        kept_id = self._desk.take(fault, address, dict(form), sid)
        if kept_id is not None and "StatusCallback" in form:
            self._report(form, sid, fault)
        return self._desk.remember(request, Route.TWILIO, address, given, accepted_id=kept_id)

    def _check(self, request: Request) -> dict[str, str]:
        given = request.headers.get(b"authorization", b"")
        if not hmac.compare_digest(given, self._authorization):
            raise TwilioRefusalError("20003")
        path = _PATH.fullmatch(request.path)
        if path is None or path[1] != ACCOUNT_SID or request.method != "POST":
            raise TwilioRefusalError("20404")
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        _check_numbers(form)
        _check_content(form)
        return form

    def _report(self, form: Mapping[str, str], sid: str, fault: Fault | None) -> None:
        is_lost = fault is not None and fault.kind is FaultKind.UNDELIVERED
        url, _ = urldefrag(form["StatusCallback"])
        forms = []
        for status in ("sent", "undelivered" if is_lost else "delivered"):
            fields = {"AccountSid": ACCOUNT_SID, "ApiVersion": "2010-04-01", "To": form["To"]}
            fields |= {"MessageSid": sid, "SmsSid": sid}
            fields |= {"MessageStatus": status, "SmsStatus": status}
            fields |= {name: form[name] for name in ("From", "MessagingServiceSid") if name in form}
            if status == "undelivered" and fault is not None:
                fields["ErrorCode"] = fault.code or "30003"
            forms.append(
                (urlencode(fields).encode(), f"X-Twilio-Signature: {signature(url, fields)}")
            )
        self._callbacks.post_in_order(url, forms, _FORM)


def signature(url: str, fields: Mapping[str, str], key: str = AUTH_TOKEN) -> str:
    """Return what ``X-Twilio-Signature`` holds for a form."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    digest = hmac.new(key.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def error_body(status: int, code: str) -> bytes:
    """Return an error of Twilio."""
    number = int(code) if code.isdecimal() else code
    return json.dumps(
        {
            "code": number,
            "message": _SAID.get(code, f"Error {code}"),
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        }
    ).encode()


def _check_numbers(form: Mapping[str, str]) -> None:
    sender, recipient = form.get("From", ""), form.get("To", "")
    if not recipient:
        raise TwilioRefusalError("21604")
    if not sender and "MessagingServiceSid" not in form:
        raise TwilioRefusalError("21603")
    if sender in _MAGIC_FROM:
        raise TwilioRefusalError(_MAGIC_FROM[sender])
    if sender and not _ADDRESS.fullmatch(sender):
        raise TwilioRefusalError("21212")
    if recipient in _MAGIC_TO:
        raise TwilioRefusalError(_MAGIC_TO[recipient])
    channel, _, bare = recipient.rpartition(":")
    if channel in {"", "whatsapp"} and not _NUMBER.fullmatch(bare):
        raise TwilioRefusalError("21211")


def _check_content(form: Mapping[str, str]) -> None:
    if not any(name in form for name in ("Body", "MediaUrl", "ContentSid")):
        raise TwilioRefusalError("21602")
    if len(form.get("Body", "")) > _MAX_CHARS:
        raise TwilioRefusalError("21617")


def _resource(sid: str, form: Mapping[str, str]) -> dict[str, Any]:
    uri = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{sid}"
    now = format_datetime(datetime.now(UTC))
    return {
        "account_sid": ACCOUNT_SID,
        "api_version": "2010-04-01",
        "body": form.get("Body", ""),
        "date_created": now,
        "date_sent": None,
        "date_updated": now,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": form.get("From"),
        "messaging_service_sid": form.get("MessagingServiceSid"),
        "num_media": "1" if "MediaUrl" in form else "0",
        "num_segments": str(_segments(form.get("Body", ""))),
        "price": None,
        "price_unit": "USD",
        "sid": sid,
        "status": "queued" if "From" in form else "accepted",
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": form["To"],
        "uri": f"{uri}.json",
    }


def _segments(body: str) -> int:
    whole, part = (160, 153) if body.isascii() else (70, 67)
    return 1 if len(body) <= whole else -(-len(body) // part)


def _spell(status: int, code: str, _fault: Fault) -> bytes:
    return error_body(status, code)


TWILIO = Dialect(
    {
        FaultKind.THROTTLED: "20429",
        FaultKind.UNAVAILABLE: "20503",
        FaultKind.INTERNAL: "20500",
        FaultKind.UNAUTHENTICATED: "20003",
        FaultKind.INVALID_ARGUMENT: "21602",
        FaultKind.DEAD_TOKEN: "21211",
        FaultKind.SENDER_MISMATCH: "21606",
    },
    _STATUSES,
    _spell,
)
