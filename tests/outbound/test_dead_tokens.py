"""A vendor's word that a token is dead is believed, unless it looks like our own mistake."""

from dataclasses import replace
from datetime import timedelta

from service.outbound.dead_tokens import Alarm, DeadVerdicts, died_before
from service.outbound.outcomes import Outcome, classify
from service.outbound.transport import Reply, ReplyKind
from tests.support.clocks import START

_FCM = b'{"error":{"code":%d,"status":"%s","details":[%s]}}'
_ERROR = b'{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"%s"}'
_FIELD = (
    b'{"@type":"type.googleapis.com/google.rpc.BadRequest",'
    b'"fieldViolations":[{"field":"message.token","description":"x"}]}'
)


def fcm(status: int, word: bytes, *details: bytes) -> Outcome:
    body = _FCM % (status, word, b",".join(details))
    return classify("fcm", Reply("k", ReplyKind.ANSWERED, status, body=body), now=START)


UNREGISTERED = fcm(404, b"NOT_FOUND", _ERROR % b"UNREGISTERED")
MALFORMED = fcm(400, b"INVALID_ARGUMENT", _ERROR % b"INVALID_ARGUMENT", _FIELD)
DOUBTFUL = fcm(400, b"INVALID_ARGUMENT", _ERROR % b"INVALID_ARGUMENT")
MISMATCH = fcm(403, b"PERMISSION_DENIED", _ERROR % b"SENDER_ID_MISMATCH")
SENT = classify(
    "fcm", Reply("k", ReplyKind.ANSWERED, 200, body=b'{"name":"projects/p/messages/1"}'), now=START
)


def judged(verdicts: DeadVerdicts, outcome: Outcome, times: int = 1) -> list[bool | Alarm]:
    return [verdicts.judge(outcome, now=START) for _ in range(times)]


def test_uninstalled_apps_are_believed_while_they_are_few() -> None:
    verdicts = DeadVerdicts()
    judged(verdicts, SENT, 400)

    assert judged(verdicts, UNREGISTERED, 100) == [True] * 100


def test_the_first_nineteen_cannot_tell_a_mistake_from_bad_luck() -> None:
    assert judged(DeadVerdicts(), UNREGISTERED, 19) == [True] * 19


def test_one_more_than_the_ceiling_raises_the_alarm_with_its_numbers() -> None:
    verdicts = DeadVerdicts()
    judged(verdicts, SENT, 400)
    judged(verdicts, UNREGISTERED, 100)

    assert judged(verdicts, UNREGISTERED) == [Alarm("fcm.404.unregistered", 101, 500)]


def test_the_alarm_ends_when_the_last_five_hundred_are_well_again() -> None:
    verdicts = DeadVerdicts()
    judged(verdicts, UNREGISTERED, 500)
    judged(verdicts, SENT, 401)

    assert judged(verdicts, UNREGISTERED) == [True]


def test_a_malformed_token_is_believed_while_few_are() -> None:
    verdicts = DeadVerdicts()
    judged(verdicts, SENT, 100)

    assert judged(verdicts, MALFORMED) == [True]


def test_when_everything_looks_malformed_little_is_denylisted() -> None:
    verdicts = DeadVerdicts()

    found = judged(verdicts, MALFORMED, 21)

    assert found[:5] == [True] * 5
    assert found[5:19] == [False] * 14
    assert [type(each) for each in found[19:]] == [Alarm] * 2


def test_a_verdict_that_wants_proof_is_not_believed_without() -> None:
    assert judged(DeadVerdicts(), DOUBTFUL) == [False]


def test_a_message_accepted_for_another_token_is_proof_for_five_minutes() -> None:
    verdicts = DeadVerdicts()
    judged(verdicts, SENT)

    soon = verdicts.judge(DOUBTFUL, now=START + timedelta(minutes=5))
    late = verdicts.judge(DOUBTFUL, now=START + timedelta(minutes=6))

    assert (soon, late) == (True, False)


def test_another_apps_token_is_not_dead() -> None:
    assert judged(DeadVerdicts(), MISMATCH) == [False]


def test_a_sent_message_denylists_nothing() -> None:
    assert judged(DeadVerdicts(), SENT) == [False]


def test_the_vendors_own_moment_decides_and_lasts_its_millisecond() -> None:
    dated = replace(UNREGISTERED, dead_since=START - timedelta(hours=1))

    assert died_before(dated, START) == START - timedelta(hours=1) + timedelta(milliseconds=1)
    assert died_before(UNREGISTERED, START) == START
    assert died_before(replace(dated, dead_since=START + timedelta(days=1)), START) == START
