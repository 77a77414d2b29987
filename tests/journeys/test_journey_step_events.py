from uuid import UUID

import pytest

from service.journeys.conditions import Facts
from service.journeys.document import parse
from service.journeys.planner import plan
from service.journeys.state import InstanceState
from service.journeys.step_events import Run, Step, execution_error, step_id, step_to_xdm
from service.journeys.stimuli import DeliveryEnded, DeliveryOutcome, Entered
from tests.journeys.worlds import START, welcome

RUN = Run(
    instance_id=UUID(int=1),
    journey_id=UUID(int=2),
    journey_version_id=UUID(int=3),
    journey_version=4,
    journey_name="Welcome",
    external_key="CRMID:ada",
    profile_id="p-1",
)
GOLD = Facts({'tier = "gold"': True}, {"person.name.firstName": "Ada"})


def steps_until(ended: DeliveryEnded) -> tuple[Step, ...]:
    definition = parse(welcome())
    segment = {"id": "seg-1", "status": "realized"}
    first = Entered(START, segment=segment, is_reentrance=True)
    calling = plan(definition, InstanceState(), first, GOLD, START, 1)
    later = plan(definition, calling.state, ended, GOLD, START, 1)
    return (*calling.steps, *later.steps)


def test_the_entrance_is_told_in_adobes_names() -> None:
    entrance, *_ = steps_until(DeliveryEnded("call", DeliveryOutcome.SENT))

    assert step_to_xdm(entrance, RUN) == {
        "_id": str(step_id(RUN.instance_id, 1)),
        "timestamp": "2026-03-01T12:00:00Z",
        "_experience": {
            "journeyOrchestration": {
                "stepEvents": {
                    "entrance": True,
                    "reentrance": True,
                    "nodeID": "start",
                    "nodeName": "Qualified",
                    "nodeType": "segmentTrigger",
                    "journeyNodeProcessed": True,
                    "stepID": str(step_id(RUN.instance_id, 1)),
                    "stepName": "Qualified",
                    "stepType": "SegmentTriggerStep",
                    "stepStatus": "Transitions",
                    "journeyID": str(RUN.journey_id),
                    "journeyVersionID": str(RUN.journey_version_id),
                    "journeyVersionName": "Welcome",
                    "journeyVersion": "4",
                    "instanceID": str(RUN.instance_id),
                    "instanceType": "unitary",
                    "externalKey": "CRMID:ada",
                    "profileID": "p-1",
                    "origSegmentQualificationStatus": "realized",
                },
            },
        },
    }


def test_an_action_that_timed_out_tells_of_the_attempt_before() -> None:
    ended = DeliveryEnded(
        "call",
        DeliveryOutcome.TIMED_OUT,
        origin_error="http",
        origin_code="500",
        execution_ms=20_000,
    )

    event = step_to_xdm(steps_until(ended)[3], RUN)

    fields = event["_experience"]["journeyOrchestration"]["stepEvents"]
    assert (
        fields.items()
        >= {
            "nodeType": "action",
            "stepStatus": "TimedOut",
            "eventID": "executedAction",
            "actionID": "act-1",
            "actionName": "push",
            "actionType": "customHttpAction",
            "actionParameterized": True,
            "actionExecutionTime": 20_000,
            "actionExecutionError": "timedout",
            "actionExecutionErrorCode": "timedout",
            "actionExecutionOriginError": "http",
            "actionExecutionOriginCode": "500",
            "parentNodeID": "tier",
            "parentTransitionName": "gold",
            "parentTransitionType": "condition",
        }.items()
    )
    assert event["_edgepost"] == {"deliveryOutcome": "timedout"}


def test_a_node_at_which_people_rest_is_processed_at_its_second_step() -> None:
    steps = steps_until(DeliveryEnded("call", DeliveryOutcome.SENT))

    seen = [(step.node_id, step.ledger_kind, step.is_node_processed) for step in steps]
    assert seen == [
        ("start", "entrance", True),
        ("tier", "step", True),
        ("call", "dispatch", False),
        ("call", "step", True),
        ("done", "end:finished", True),
    ]


def test_the_last_step_says_that_and_how_the_instance_ended() -> None:
    event = step_to_xdm(steps_until(DeliveryEnded("call", DeliveryOutcome.SENT))[-1], RUN)

    fields = event["_experience"]["journeyOrchestration"]["stepEvents"]
    assert (fields["instanceEnded"], fields["stepStatus"]) == (True, "EndStep")
    assert event["_edgepost"] == {"endReason": "finished", "endDetail": "endReached"}


def test_a_suppressed_message_is_no_error_and_keeps_its_reason() -> None:
    ended = DeliveryEnded("call", DeliveryOutcome.SUPPRESSED, code="consent")

    event = step_to_xdm(steps_until(ended)[3], RUN)

    fields = event["_experience"]["journeyOrchestration"]["stepEvents"]
    assert "actionExecutionError" not in fields
    assert event["_edgepost"] == {"deliveryOutcome": "suppressed", "deliveryCode": "consent"}


@pytest.mark.parametrize(
    ("outcome", "code", "error"),
    [
        (DeliveryOutcome.SENT, "200", None),
        (DeliveryOutcome.SUPPRESSED, "consent", None),
        (DeliveryOutcome.FAILED, "410", "http"),
        (DeliveryOutcome.FAILED, "templateError", "error"),
        (DeliveryOutcome.FAILED, None, "error"),
        (DeliveryOutcome.CAPPED, None, "capped"),
        (DeliveryOutcome.TIMED_OUT, None, "timedout"),
        (DeliveryOutcome.EXPIRED, None, "error"),
        (DeliveryOutcome.UNKNOWN, None, "error"),
    ],
)
def test_each_outcome_is_one_of_adobes_four_errors_or_none(
    outcome: DeliveryOutcome,
    code: str | None,
    error: str | None,
) -> None:
    assert execution_error(outcome, code) == error


def test_steps_of_two_instances_never_share_a_key() -> None:
    keys = {step_id(UUID(int=instance), sequence) for instance in (1, 11) for sequence in (1, 11)}

    assert len(keys) == 4
