"""A vendor's word that a token is dead is believed, unless it looks like our own mistake."""

from service.outbound.dead_tokens import DeadVerdicts
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


def test_an_uninstalled_app_is_believed_however_often() -> None:
    verdicts = DeadVerdicts()

    assert all(verdicts.should_denylist(UNREGISTERED) for _ in range(100))


def test_a_malformed_token_is_believed_while_few_are() -> None:
    verdicts = DeadVerdicts()
    for _ in range(100):
        verdicts.should_denylist(SENT)

    assert verdicts.should_denylist(MALFORMED)


def test_when_everything_looks_malformed_nothing_is_denylisted() -> None:
    verdicts = DeadVerdicts()

    believed = [verdicts.should_denylist(MALFORMED) for _ in range(100)]

    assert believed == [True] * 5 + [False] * 95


def test_a_verdict_that_wants_proof_is_not_believed() -> None:
    assert not DeadVerdicts().should_denylist(DOUBTFUL)


def test_another_apps_token_is_not_dead() -> None:
    assert not DeadVerdicts().should_denylist(MISMATCH)


def test_a_sent_message_denylists_nothing() -> None:
    assert not DeadVerdicts().should_denylist(SENT)
