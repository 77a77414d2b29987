from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import json
from service.outbound.atlas import load_atlas
from service.outbound.atlas_rules import (
    OutcomeKind,
    RetryKind,
    RetryUnit,
    Rule,
    Sample,
    TokenEffect,
    TokenGuard,
)
from service.outbound.outcomes import classify, parse_retry_after
from service.outbound.transport import Reply, ReplyKind, Trouble

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ATLAS = load_atlas()
ROWS = [(rule, sample) for rule in ATLAS.rules for sample in rule.sim]


def reply_of(
    status: int,
    body: object = None,
    headers: dict[str, str] | None = None,
    kind: ReplyKind = ReplyKind.ANSWERED,
    trouble: Trouble | None = None,
) -> Reply:
    raw = b"" if body is None else body.encode() if isinstance(body, str) else json.encode(body)
    lines = tuple(f"{name}: {value}\r\n".encode() for name, value in (headers or {}).items())
    return Reply("k", kind, status, lines, raw, trouble=trouble)


def fcm_error(status: int, code: str, *details: dict[str, Any]) -> Reply:
    return reply_of(status, {"error": {"code": status, "status": code, "details": details}})


def fcm_detail(code: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}


@pytest.mark.parametrize(
    ("rule", "sample"), ROWS, ids=[f"{rule.id}-{n}" for n, (rule, _) in enumerate(ROWS)]
)
def test_each_row_of_the_atlas_decides_its_samples(rule: Rule, sample: Sample) -> None:
    reply = reply_of(sample.status, sample.body, sample.headers, rule.match.reply, sample.trouble)

    outcome = classify(rule.id.partition(".")[0], reply, now=NOW)

    assert outcome.rule_id == rule.id
    assert outcome.kind is rule.outcome


@pytest.mark.parametrize("vendor", ATLAS.vendors)
@given(status=st.integers(0, 1000), body=st.binary(max_size=60))
def test_every_answer_has_a_meaning_and_only_2xx_is_success_and_only_5xx_in_doubt(
    vendor: str, status: int, body: bytes
) -> None:
    outcome = classify(vendor, Reply("k", ReplyKind.ANSWERED, status, (), body), now=NOW)

    assert (outcome.kind is OutcomeKind.SENT) == (200 <= status < 300)
    assert outcome.kind is not OutcomeKind.UNKNOWN or 500 <= status < 600


@pytest.mark.parametrize(
    ("vendor", "trouble"), list(product(ATLAS.vendors, [None, *Trouble])), ids=str
)
def test_no_answer_is_no_verdict_on_a_token(vendor: str, trouble: Trouble | None) -> None:
    not_sent = classify(vendor, reply_of(0, kind=ReplyKind.NOT_SENT, trouble=trouble), now=NOW)
    unknown = classify(vendor, reply_of(0, kind=ReplyKind.UNKNOWN, trouble=trouble), now=NOW)

    assert not_sent.kind in (OutcomeKind.RETRY, OutcomeKind.FAILED)
    assert unknown.kind is OutcomeKind.UNKNOWN
    assert {not_sent.token_effect, unknown.token_effect} == {TokenEffect.NONE}


def test_a_status_alone_never_kills_a_token_at_fcm() -> None:
    effects = {
        classify("fcm", reply_of(status), now=NOW).token_effect for status in range(200, 600)
    }

    assert effects == {TokenEffect.NONE}


@pytest.mark.parametrize(
    ("reply", "effect", "guard"),
    [
        (
            fcm_error(404, "NOT_FOUND", fcm_detail("UNREGISTERED")),
            TokenEffect.DEAD,
            TokenGuard.REGISTERED_LATER,
        ),
        (fcm_error(404, "NOT_FOUND"), TokenEffect.NONE, TokenGuard.NONE),
        (
            fcm_error(400, "INVALID_ARGUMENT", fcm_detail("INVALID_ARGUMENT")),
            TokenEffect.DEAD,
            TokenGuard.PROOF_REQUIRED,
        ),
        (fcm_error(400, "INVALID_ARGUMENT"), TokenEffect.NONE, TokenGuard.NONE),
        (
            fcm_error(403, "PERMISSION_DENIED", fcm_detail("SENDER_ID_MISMATCH")),
            TokenEffect.WRONG_APP,
            TokenGuard.RATIO_CEILING,
        ),
        (fcm_error(403, "PERMISSION_DENIED"), TokenEffect.NONE, TokenGuard.NONE),
    ],
)
def test_a_token_is_dead_only_by_the_codes_that_mean_it(
    reply: Reply, effect: TokenEffect, guard: TokenGuard
) -> None:
    outcome = classify("fcm", reply, now=NOW)

    assert (outcome.token_effect, outcome.token_guard) == (effect, guard)


def test_the_same_401_asks_for_a_new_bearer_or_for_an_operator() -> None:
    ours = classify("fcm", fcm_error(401, "UNAUTHENTICATED"), now=NOW)
    theirs = fcm_error(401, "UNAUTHENTICATED", fcm_detail("THIRD_PARTY_AUTH_ERROR"))

    assert (ours.kind, ours.retry_kind, ours.max_attempts) == (
        OutcomeKind.RETRY,
        RetryKind.REAUTH1,
        2,
    )
    assert classify("fcm", theirs, now=NOW).retry_kind is RetryKind.FIX


def test_a_quota_of_one_device_does_not_stop_the_destination() -> None:
    def quota(subject: str) -> Reply:
        failure = {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"subject": subject, "description": "x"}],
        }
        return fcm_error(429, "RESOURCE_EXHAUSTED", fcm_detail("QUOTA_EXCEEDED"), failure)

    units = [classify("fcm", quota(s), now=NOW).retry_unit for s in ("Device:abc", "project:p")]

    assert units == [RetryUnit.REQUEST, RetryUnit.DESTINATION]


def test_the_vendors_wait_is_taken_and_its_absence_leaves_ours() -> None:
    told = classify("fcm", reply_of(429, headers={"retry-after": "37"}), now=NOW)
    untold = classify("fcm", reply_of(429), now=NOW)

    assert (told.retry_after_s, untold.retry_after_s) == (37.0, None)
    assert untold.backoff_min_s == 60.0


def test_a_date_to_wait_for_is_reckoned_by_the_vendors_own_clock() -> None:
    headers = {
        "Date": "Mon, 23 Nov 2026 12:00:00 GMT",
        "Retry-After": "Mon, 23 Nov 2026 12:00:30 GMT",
    }

    assert classify("fcm", reply_of(503, headers=headers), now=NOW).retry_after_s == 30.0


@pytest.mark.parametrize("status", [401, 403, 404])
def test_the_webhook_does_not_repeat_what_journey_optimizer_does_not(status: int) -> None:
    assert classify("webhook", reply_of(status), now=NOW).kind is OutcomeKind.FAILED


@pytest.mark.parametrize(
    "status", [400, 402, 405, 408, 409, 410, 413, 422, 429, 500, 502, 503, 599]
)
def test_the_webhook_repeats_every_other_error_at_most_three_times(status: int) -> None:
    outcome = classify("webhook", reply_of(status), now=NOW)

    assert (outcome.kind, outcome.max_attempts) == (OutcomeKind.RETRY, 4)
    assert outcome.token_effect is TokenEffect.NONE


def test_gone_means_the_token_at_a_push_api_only() -> None:
    outcome = classify("push", reply_of(410), now=NOW)

    assert (outcome.kind, outcome.token_effect) == (OutcomeKind.FAILED, TokenEffect.DEAD)
    assert classify("push", reply_of(404), now=NOW).rule_id == "webhook.404"


@pytest.mark.parametrize(
    ("vendor", "body", "expected"),
    [
        ("fcm", {"name": "projects/p/messages/1"}, "projects/p/messages/1"),
        ("fcm", {"name": ""}, None),
        ("fcm", {"name": 7}, None),
        ("fcm", [], None),
        ("fcm", '{"name":"pro', None),
        ("webhook", {"id": "m-1"}, "m-1"),
        ("webhook", {"id": "x" * 300}, "x" * 256),
        ("webhook", "OK", None),
    ],
)
def test_an_accepted_message_is_sent_whether_or_not_its_id_can_be_read(
    vendor: str, body: object, expected: str | None
) -> None:
    outcome = classify(vendor, reply_of(200, body), now=NOW)

    assert (outcome.kind, outcome.vendor_message_id) == (OutcomeKind.SENT, expected)


def test_the_detail_names_code_and_field_and_holds_no_body() -> None:
    violation = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": "message.android.ttl", "description": "s3cret"}],
    }

    outcome = classify("fcm", fcm_error(400, "INVALID_ARGUMENT", violation), now=NOW)

    assert outcome.detail == "400 INVALID_ARGUMENT message.android.ttl"


@pytest.mark.parametrize(
    ("vendor", "reply", "kind", "scope"),
    [
        ("oneSignal", reply_of(200, {"id": "", "errors": ["x"]}), "failed", "recipient"),
        (
            "oneSignal",
            reply_of(200, {"id": "n", "errors": {"invalid_aliases": {}}}),
            "sent",
            "none",
        ),
        ("braze", reply_of(201, {"message": "success", "errors": ["minor"]}), "sent", "none"),
        ("braze", reply_of(202, {"message": "queued"}), "sent", "none"),
        ("braze", reply_of(200, {"message": "A fatal error nobody foresaw"}), "failed", "payload"),
        ("sendgrid", reply_of(202, headers={"X-Message-Id": "m"}), "sent", "none"),
        (
            "sendgrid",
            reply_of(401, {"errors": [{"message": "Maximum credits exceeded"}]}),
            "failed",
            "account",
        ),
        ("sendgrid", reply_of(401, {"errors": [{"message": "x"}]}), "failed", "destination"),
        ("twilio", reply_of(400, {"code": 21610}), "failed", "recipient"),
        ("twilio", reply_of(400, {"code": 30002}), "failed", "account"),
        ("twilio", reply_of(400, {"code": 29999}), "failed", "payload"),
        ("airship", reply_of(404, {"error_code": 40401}), "failed", "destination"),
    ],
)
def test_success_is_not_the_status_alone_and_one_status_has_many_owners(
    vendor: str, reply: Reply, kind: str, scope: str
) -> None:
    outcome = classify(vendor, reply, now=NOW)

    assert (outcome.kind, outcome.scope, outcome.token_effect) == (kind, scope, TokenEffect.NONE)


def test_the_sandbox_of_sendgrid_is_told_from_a_mail() -> None:
    assert classify("sendgrid", reply_of(200), now=NOW).rule_id == "sendgrid.200.sandbox"


@pytest.mark.parametrize("status", [500, 502, 504])
@pytest.mark.parametrize(
    ("vendor", "kind"),
    [
        ("twilio", OutcomeKind.UNKNOWN),
        ("sendgrid", OutcomeKind.UNKNOWN),
        ("airship", OutcomeKind.UNKNOWN),
        ("braze", OutcomeKind.UNKNOWN),
        ("oneSignal", OutcomeKind.RETRY),
    ],
)
def test_a_doubtful_answer_is_repeated_only_where_the_vendor_dedupes(
    vendor: str, kind: OutcomeKind, status: int
) -> None:
    assert classify(vendor, reply_of(status), now=NOW).kind is kind


@pytest.mark.parametrize("vendor", ["braze", "sendgrid"])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"X-RateLimit-Reset": str(int(NOW.timestamp()) + 1900)}, 1900.0),
        ({"x-ratelimit-reset": f"{NOW.timestamp() + 1.5}"}, 1.5),
        ({"X-RateLimit-Reset": "99999999999"}, 86400.0),
        ({"X-RateLimit-Reset": "1e999"}, 86400.0),
        ({"X-RateLimit-Reset": "1"}, None),
        ({"X-RateLimit-Reset": "nan"}, None),
        ({"X-RateLimit-Reset": "soon"}, None),
        ({"X-RateLimit-Reset": "99999999999", "Retry-After": "7"}, 7.0),
        (
            {
                "X-RateLimit-Reset": str(int(NOW.timestamp()) + 7230),
                "Date": "Mon, 23 Nov 2026 12:00:00 GMT",
            },
            30.0,
        ),
        ({}, None),
    ],
)
def test_a_limit_is_waited_out_until_the_moment_that_the_vendor_names(
    vendor: str, headers: dict[str, str], seconds: float | None
) -> None:
    outcome = classify(vendor, reply_of(429, headers=headers), now=NOW)

    assert outcome.retry_after_s == seconds
    assert outcome.retry_unit is RetryUnit.DESTINATION


def test_the_codes_that_twilio_reports_later_are_in_the_same_table() -> None:
    codes = {
        code for rule in ATLAS.rules if rule.id.startswith("twilio.") for code in rule.match.code
    }

    assert len([code for code in codes if code.startswith("3")]) == 27
    assert {"63014", "63016", "63017", "63018", "63024"} < codes


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("0", 0.0),
        ("17", 17.0),
        (" 17 ", 17.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("86401", 86400.0),
        ("99999999999999999999", 86400.0),
        ("inf", 86400.0),
        ("Mon, 23 Nov 2026 10:00:45 GMT", 45.0),
        ("Monday, 23-Nov-26 10:00:45 GMT", 45.0),
        ("Mon Nov 23 10:00:45 2026", 45.0),
        ("Mon, 23 Nov 2026 11:00:45 +0100", 45.0),
        ("Mon, 23 Nov 2026 09:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2099 09:00:00 GMT", 86400.0),
        ("Mon, 99 Nov 2026 10:00:45 GMT", None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


@given(st.text(max_size=40))
def test_no_retry_after_breaks_the_reader(value: str) -> None:
    seconds = parse_retry_after(value, now=NOW)

    assert seconds is None or 0 <= seconds <= 86400
