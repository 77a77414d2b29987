"""One call of the planner in progress: from a node onward until the person rests or leaves."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Unpack

from service.journeys.conditions import (
    Facts,
    FactsWanted,
    choose,
    facts_ahead,
    is_known,
    parameters_of,
    profile_paths,
)
from service.journeys.definitions import (
    Condition,
    CustomAction,
    End,
    EventEntry,
    JourneyDefinition,
    Node,
    Reaction,
    TransitionKind,
    Wait,
    transition_of,
)
from service.journeys.plans import Dispatch, EndInstance, Ignored, Intent, Plan, SetTimer
from service.journeys.reactions import answering
from service.journeys.state import (
    Arrival,
    EndDetail,
    Ending,
    EndReason,
    InstanceState,
    WaitingFor,
)
from service.journeys.step_events import (
    ActionStep,
    Step,
    StepDetails,
    StepKind,
    StepStatus,
    action_step,
    parent_of,
)
from service.journeys.stimuli import Entered
from service.outbound.interactions import EVENT_TYPES, Interaction


class Walk:
    """Collects steps and intents while the state moves; nothing outside it changes.

    When a fact is missing the walk is thrown away whole, so a plan is all or nothing.
    """

    def __init__(
        self,
        definition: JourneyDefinition,
        state: InstanceState,
        facts: Facts,
        now: datetime,
        seed: int,
    ) -> None:
        self.definition = definition
        self.before = state
        self.state = state
        self.facts = facts
        self.now = now
        self.seed = seed
        self.steps: list[Step] = []
        self.intents: list[Intent] = []

    def done(self, wanted: FactsWanted | None = None) -> Plan:
        """Return the plan: the whole walk, or only what is wanted to walk it."""
        if wanted is not None:
            return Plan(self.before, facts_wanted=wanted)
        return Plan(self.state, tuple(self.steps), tuple(self.intents))

    def ignored(self, why: Ignored, *again: Intent) -> Plan:
        """Return the plan that leaves everything as it was."""
        return Plan(self.before, intents=again, ignored=why)

    @property
    def is_life_over(self) -> bool:
        """Whether the instance is as old as it may become."""
        life_ends_at = self.state.life_ends_at
        return life_ends_at is not None and self.now >= life_ends_at

    def here(self) -> Node | None:
        """Return the node the person is at."""
        return self.definition.by_id.get(self.state.node_id or "")

    def enter(self, entered: Entered) -> Node | None:
        """Record the entrance; ``None`` when the definition has no node to enter at."""
        context = {"event": entered.event, "segment": entered.segment}
        self.state = replace(
            self.state,
            entered_at=entered.at,
            context={key: value for key, value in context.items() if value is not None},
        )
        if not self.definition.entries:
            self.end(None, EndReason.FAILED, EndDetail.DEFINITION_BROKEN)
            return None
        entry = self.definition.entries[0]
        self.state = replace(self.state, node_id=entry.id)
        is_event = isinstance(entry, EventEntry)
        status = (entered.segment or {}).get("status")
        self.note(
            entry,
            kind=StepKind.ENTRANCE,
            at=entered.at,
            is_reentrance=entered.is_reentrance,
            event_id=entry.event_id if isinstance(entry, EventEntry) else None,
            is_external_event=is_event,
            qualification=status if isinstance(status, str) else None,
        )
        return entry

    def follow(self, node: Node, transition: int | None) -> FactsWanted | None:
        """Walk on from one way out of ``node``; returns what must be known first, if anything."""
        while True:
            target = self._arrive(node, transition)
            match target:
                case Condition() | Reaction():
                    passed = self._pass(target)
                    if not isinstance(passed, int):
                        return passed
                    node, transition = target, passed
                case Wait():
                    self._rest(target, target.duration, WaitingFor.TIMER)
                    return None
                case CustomAction():
                    return self._call(target)
                case End():
                    self.end(target, EndReason.FINISHED, EndDetail.END_REACHED)
                    return None
                case _:
                    self.end(node, EndReason.FAILED, EndDetail.DEFINITION_BROKEN)
                    return None

    def end(
        self,
        node: Node | None,
        reason: EndReason,
        detail: str,
        *,
        status: StepStatus | None = None,
        action: ActionStep | None = None,
        is_node_processed: bool = True,
    ) -> None:
        """End the instance at a node, with the step that says so."""
        ending = Ending(reason, str(detail))
        usual = StepStatus.ERROR if reason is EndReason.FAILED else StepStatus.END_STEP
        is_open = self.state.waiting_for is WaitingFor.DELIVERY and not is_node_processed
        open_delivery = self.state.node_id if is_open else None
        if node is not None:
            self.note(
                node,
                kind=StepKind.END,
                status=status or usual,
                action=action,
                ended=ending,
                is_node_processed=is_node_processed,
                processing_ms=self.rested_ms(),
            )
        self.state = replace(
            self.state,
            waiting_for=WaitingFor.NOTHING,
            rests_since=None,
            due_at=None,
            ended=ending,
        )
        self.intents.append(EndInstance(ending, open_delivery))

    def note(self, node: Node, **said: Unpack[StepDetails]) -> None:
        """Record one step of the instance at a node."""
        self.state = replace(self.state, sequence=self.state.sequence + 1)
        step = Step(
            sequence=self.state.sequence,
            node_id=node.id,
            node_name=node.name or node.id,
            node_type=node.type,
            at=self.now,
            parent=parent_of(self.definition, self.state.arrived_by),
        )
        self.steps.append(replace(step, **said))

    def reacted(self, node: Reaction, interaction: Interaction) -> int | None:
        """Record that people reacted as a node waits for; return the way on."""
        self.note(
            node,
            event_id=EVENT_TYPES[interaction.kind],
            is_external_event=True,
            processing_ms=self.rested_ms(),
            reaction=interaction,
        )
        return transition_of(node, TransitionKind.NEXT)

    def rested_ms(self) -> int | None:
        """Return for how long the person has rested at this node, in milliseconds."""
        since = self.state.rests_since
        return None if since is None else max(0, round((self.now - since).total_seconds() * 1000))

    def _arrive(self, node: Node, transition: int | None) -> Node | None:
        """Return the node a transition leads to, ``None`` when the graph is broken there."""
        if transition is None or self.state.sequence > 2 * len(self.definition.nodes):
            return None
        target = self.definition.by_id.get(node.transitions[transition].target_id or "")
        if target is not None:
            self.state = replace(
                self.state,
                waiting_for=WaitingFor.NOTHING,
                node_id=target.id,
                arrived_by=Arrival(node.id, transition),
                rests_since=None,
                due_at=None,
            )
        return target

    def _pass(self, node: Condition | Reaction) -> int | FactsWanted | None:
        """Return the way on from a node, or what must be known first; ``None`` at a rest or end."""
        if isinstance(node, Condition):
            if not is_known(node, self.facts):
                return facts_ahead(self.definition, node.id, self.facts)
            transition = choose(node, self.facts, self.seed)
            if transition is None:
                self.end(node, EndReason.EXITED, EndDetail.NO_PATH_MATCHED)
            else:
                self.note(node)
            return transition
        seen = self.facts.interactions.get(node.message_node_id)
        if seen is None:
            return facts_ahead(self.definition, node.id, self.facts)
        found = answering(node, seen)
        if found is not None:
            return self.reacted(node, found)
        if node.message_node_id in self.state.not_sent:
            self.note(node, status=StepStatus.TIMED_OUT, is_message_sent=False)
            return transition_of(node, TransitionKind.TIMEOUT)
        self._rest(node, node.timeout, WaitingFor.REACTION)
        return None

    def _rest(self, node: Node, duration: timedelta, waiting_for: WaitingFor) -> None:
        """Come to rest until a moment at most, if the instance may live that long."""
        due_at = self.now + duration
        life_ends_at = self.state.life_ends_at
        if life_ends_at is not None and due_at > life_ends_at:
            self.time_out(node)
            return
        self.note(node, is_node_processed=False)
        self.state = replace(
            self.state,
            waiting_for=waiting_for,
            rests_since=self.now,
            due_at=due_at,
        )
        self.intents.append(SetTimer(due_at, self.state.sequence))

    def _call(self, action: CustomAction) -> FactsWanted | None:
        """Come to rest until the outcome of a delivery that is written with this plan."""
        if self.is_life_over:
            self.time_out(action)
            return None
        if profile_paths(action) - self.facts.values.keys():
            return facts_ahead(self.definition, action.id, self.facts)
        self.note(
            action,
            kind=StepKind.DISPATCH,
            is_node_processed=False,
            action=action_step(action),
            awaits_reaction=self.definition.awaits_reaction_to(action.id),
        )
        self.state = replace(
            self.state,
            waiting_for=WaitingFor.DELIVERY,
            rests_since=self.now,
        )
        self.intents.append(
            Dispatch(
                node_id=action.id,
                action_id=action.action_id,
                parameters=parameters_of(action, self.facts, self.state.context),
                timeout_s=self.definition.action_timeout_s,
                sequence=self.state.sequence,
            ),
        )
        return None

    def time_out(self, node: Node | None) -> None:
        """End the instance because its life is over, or would be before it could go on."""
        self.end(
            node,
            EndReason.FAILED,
            EndDetail.INSTANCE_TIMED_OUT,
            status=StepStatus.TIMED_OUT,
            is_node_processed=False,
        )
