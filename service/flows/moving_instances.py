"""One person's part of a batch: where they stand, what they were told, what is to be written."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from service.audit.gate_traces import Trace
from service.journeys.history import HappenedStep
from service.journeys.inbox import Told
from service.journeys.instances import Locked
from service.journeys.plans import Dispatch, EndInstance, Ignored, Intent, Plan, SetTimer
from service.journeys.state import InstanceState
from service.journeys.step_events import Run, Step
from service.journeys.stimuli import Interacted, LifeEnded, Stimulus, Stopped, TimerFired
from service.journeys.versions import RunningVersion, VersionState
from service.outbound.deliveries import NewDelivery, delivery_key

STIMULUS_GATE = "stimulus"
_MS = 1000
# These come late as a matter of course, and say nothing that the steps do not say.
_EXPECTED_LATE = (TimerFired, Interacted, Stopped, LifeEnded)


@dataclass(slots=True)
class Moving:
    """An instance that is locked, and what its plans decided so far; written once, at the end."""

    locked: Locked
    version: RunningVersion
    state: InstanceState
    told: deque[Stimulus]
    steps: list[Step] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)
    ignored: list[tuple[Stimulus, Ignored]] = field(default_factory=list)
    has_moved: bool = False

    @classmethod
    def of(
        cls,
        locked: Locked,
        version: RunningVersion,
        state: InstanceState,
        told: list[Stimulus],
    ) -> "Moving":
        """Return an instance about to be planned.

        In a stopped version the stop comes first: somebody who was let in while it was being
        stopped was not among those who were told.
        """
        is_stopped = version.state == VersionState.STOPPED and state.ended is None
        return cls(locked, version, state, deque([Stopped(), *told] if is_stopped else told))

    def take(self, stimulus: Stimulus, planned: Plan) -> None:
        """Take over what a plan decided."""
        self.intents += planned.intents
        if planned.ignored is not None:
            self.ignored.append((stimulus, planned.ignored))
            return
        self.state = planned.state
        self.steps += planned.steps
        self.has_moved = True

    def ended(self) -> Iterator[str]:
        """Yield the status in which this batch ended the instance, if it did."""
        for intent in self.intents:
            if isinstance(intent, EndInstance):
                yield intent.ending.reason.value

    def to_cancel(self) -> Iterator[UUID]:
        """Yield the delivery that nobody waits for any more."""
        for intent in self.intents:
            if isinstance(intent, EndInstance) and intent.open_delivery_node_id is not None:
                yield delivery_key(self.locked.id, intent.open_delivery_node_id)

    def deliveries(self) -> Iterator[NewDelivery]:
        """Yield the messages to send; they mean nothing when the instance's life is over."""
        for intent in self.intents:
            if isinstance(intent, Dispatch):
                yield NewDelivery(
                    instance_id=self.locked.id,
                    node_id=intent.node_id,
                    journey_id=self.locked.journey_id,
                    journey_version_id=self.locked.version_id,
                    action_id=UUID(intent.action_id),
                    identity_id=self.locked.identity_id,
                    parameters=intent.parameters,
                    timeout_ms=intent.timeout_s * _MS,
                    expires_at=self.locked.expires_at,
                )

    def timers(self) -> Iterator[Told]:
        """Yield what the instance is to be told later."""
        for intent in self.intents:
            if isinstance(intent, SetTimer):
                yield Told(self.locked.id, TimerFired(intent.sequence), intent.due_at)

    def happened(self) -> Iterator[HappenedStep]:
        """Yield the steps, those of actions with their delivery."""
        run = Run(
            instance_id=self.locked.id,
            journey_id=self.locked.journey_id,
            journey_version_id=self.locked.version_id,
            journey_version=self.version.version,
            journey_name=self.version.name,
            external_key=self.locked.external_key,
            profile_id=str(self.locked.profile_id) if self.locked.profile_id else None,
        )
        for step in self.steps:
            delivery = delivery_key(self.locked.id, step.node_id) if step.action else None
            yield HappenedStep(step, run, delivery)

    def traces(self) -> Iterator[Trace]:
        """Yield why stimuli changed nothing."""
        for stimulus, why in self.ignored:
            if not isinstance(stimulus, _EXPECTED_LATE):
                yield Trace(
                    identity_id=self.locked.identity_id,
                    journey_id=self.locked.journey_id,
                    gate=STIMULUS_GATE,
                    reason=why.value,
                    facts={"stimulus": type(stimulus).__name__, "nodeId": self.state.node_id},
                    instance_id=self.locked.id,
                    node_id=self.state.node_id,
                )
