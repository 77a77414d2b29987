"""Why one person is where they are in one journey, or never came in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.audit import gate_traces
from service.core.errors import InvalidInputError, NotFoundError
from service.core.ids import parse_key
from service.core.json import JsonObject
from service.identity import namespaces
from service.identity.models import Identity
from service.journeys import explain as lines
from service.journeys import history, instances, versions
from service.journeys.definitions import CustomAction, JourneyType
from service.journeys.document import parse
from service.journeys.explain import Asked, Basis, Line, Sent
from service.journeys.models import JourneyInstance, JourneyVersion
from service.journeys.versions import VersionState
from service.outbound import actions, delivery_views, gates, kept_interactions
from service.outbound.adapters.registry import channel_of, get_adapter
from service.outbound.delivery_views import DeliveryFilter
from service.outbound.gates import Addressing, Gate, Refused
from service.outbound.models import CustomAction as ActionRow
from service.profiles.lookups import ProfileView, Recipient, find_profile, read_recipients
from service.profiles.models import ExperienceEvent
from service.sandboxes.scope import Scope
from service.segments import explain as segment_explain
from service.segments import memberships

_MOST_INSTANCES = 10
_MOST_DELIVERIES = 200
_EVENT_ID = ("_experience", "campaign", "orchestration", "eventID")


@dataclass(frozen=True, slots=True)
class JourneyExplanation:
    """Every gate in order, for one person and one journey.

    Attributes:
        version: The version that decides who enters: the live one, else the latest.
        profile_id: ``None`` when nobody was ever seen with the identity.
    """

    version: JourneyVersion
    namespace: str
    value: str
    profile_id: UUID | None
    lines: tuple[Line, ...]


def explain(
    session: Session,
    scope: Scope,
    journey_id: UUID,
    identity: tuple[str, str],
    *,
    now: datetime,
) -> JourneyExplanation:
    """Explain a journey for the person behind an identity (namespace in any case, value).

    Runs of the last ten instances are told. Nothing is written.

    Raises:
        NotFoundError: There is no such journey.
    """
    version = _deciding(session, scope, journey_id)
    known = {each.code.lower(): each.code for each in namespaces.list_all(session, scope)}
    namespace, value = known.get(identity[0].lower(), identity[0]), identity[1]
    view = find_profile(session, scope, namespace, value)
    told = [lines.version_line(version)]
    if view is None:
        told.insert(0, _unknown_line(namespace))
    else:
        told.insert(0, _identity_line(view))
        told += _entry(session, scope, version, view, now)
        told += _runs(session, scope, version, view)
        told += _now(session, scope, version, view, now)
    profile_id = view.profile.id if view else None
    return JourneyExplanation(version, namespace, value, profile_id, tuple(told))


def _deciding(session: Session, scope: Scope, journey_id: UUID) -> JourneyVersion:
    every = versions.list_all(session, scope, journey_id)
    if not every:
        raise NotFoundError(f"There is no journey {journey_id}.")
    live = [each for each in every if each.state == VersionState.LIVE]
    published = [each for each in every if each.state != VersionState.DRAFT]
    return (live or published or every)[-1]


def _unknown_line(namespace: str) -> Line:
    seen = {"namespace": namespace}
    return Line(
        Asked.IDENTITY,
        passed=False,
        basis=Basis.EVALUATED_NOW,
        reason="identityUnknown",
        seen=seen,
    )


def _identity_line(view: ProfileView) -> Line:
    seen = {
        "profileId": str(view.profile.id),
        "identities": [{"namespace": e.namespace, "id": e.value} for e in view.identities],
        "testProfile": view.profile.is_test,
    }
    return Line(Asked.IDENTITY, passed=True, basis=Basis.EVALUATED_NOW, seen=seen)


def _entry(
    session: Session,
    scope: Scope,
    version: JourneyVersion,
    view: ProfileView,
    now: datetime,
) -> Iterator[Line]:
    """Yield what leads a person to the door of a published version."""
    if version.state == VersionState.DRAFT:
        return
    yield _namespace_line(version, view.identities)
    if version.entry_kind == JourneyType.AUDIENCE_QUALIFICATION:
        yield from _segment_lines(session, scope, version, view, now)
        return
    event = _last_event(session, scope, version.entry_ref, view)
    seen = None
    if event is not None:
        seen = {"_id": event.event_id, "eventType": event.event_type}
    yield lines.event_line(version.entry_ref, seen, event.received_at if event else None)


def _namespace_line(version: JourneyVersion, identities: Sequence[Identity]) -> Line:
    fitting = [each for each in identities if each.namespace == version.namespace]
    return Line(
        Asked.NAMESPACE,
        passed=bool(fitting),
        basis=Basis.EVALUATED_NOW,
        reason=None if fitting else "namespaceAbsent",
        seen={"namespace": version.namespace, "ids": [each.value for each in fitting]},
    )


def _segment_lines(
    session: Session,
    scope: Scope,
    version: JourneyVersion,
    view: ProfileView,
    now: datetime,
) -> Iterator[Line]:
    segment_id = parse_key(version.entry_ref)
    if segment_id is None:
        return
    profile_id = view.profile.id
    try:
        found = segment_explain.explain(session, scope, segment_id, profile_id, now=now)
    except NotFoundError:
        seen: JsonObject = {"segmentId": version.entry_ref}
        yield Line(
            Asked.IN_SEGMENT,
            passed=None,
            basis=Basis.NOT_KEPT,
            reason="segmentGone",
            seen=seen,
        )
    else:
        seen = {
            "segmentId": version.entry_ref,
            "recordedStatus": found.recorded.status if found.recorded else None,
            "recordedSince": found.recorded.since if found.recorded else None,
            "conditions": [
                {"text": each.text, "isTrue": each.is_true, "seen": each.seen}
                for each in found.lines
            ],
        }
        reason = None if found.is_true else "ruleNotTrue"
        yield Line(Asked.IN_SEGMENT, found.is_true, Basis.EVALUATED_NOW, reason, seen)
    stays = memberships.history(session, scope, segment_id, profile_id)
    yield lines.qualification_line(version, stays)


def _last_event(
    session: Session,
    scope: Scope,
    event_id: str,
    view: ProfileView,
) -> ExperienceEvent | None:
    chosen = (
        select(ExperienceEvent)
        .where(
            ExperienceEvent.sandbox_id == scope.sandbox_id,
            ExperienceEvent.identity_id.in_([each.id for each in view.identities]),
            ExperienceEvent.xdm[_EVENT_ID].as_string() == event_id,
        )
        .order_by(ExperienceEvent.at.desc())
        .limit(1)
    )
    return session.scalars(chosen).one_or_none()


def _runs(
    session: Session,
    scope: Scope,
    version: JourneyVersion,
    view: ProfileView,
) -> Iterator[Line]:
    """Yield what was recorded: refusals at the door, then the runs, oldest first."""
    keys = [each.id for each in view.identities]
    traces = gate_traces.list_traces(session, scope, keys, version.journey_id)
    runs = instances.list_of_people(
        session,
        scope,
        version.journey_id,
        keys,
        limit=_MOST_INSTANCES,
    )
    yield from lines.entry_lines(traces, runs)
    numbers = {
        each.id: each.version for each in versions.list_all(session, scope, version.journey_id)
    }
    for run in reversed(runs):
        yield from lines.instance_lines(
            run,
            numbers.get(run.version_id),
            history.list_page(session, scope, run.id),
            _sent(session, scope, run),
            traces,
        )


def _sent(session: Session, scope: Scope, run: JourneyInstance) -> dict[UUID, Sent]:
    chosen = DeliveryFilter(identity_id=run.identity_id, instance_id=run.id)
    found = delivery_views.list_page(session, scope, chosen, limit=_MOST_DELIVERIES)
    done = kept_interactions.of_deliveries(session, scope, [each.id for each in found])
    return {
        each.id: Sent(*delivery_views.get(session, scope, each.id), done.get(each.id, ()))
        for each in found
    }


def _now(
    session: Session,
    scope: Scope,
    version: JourneyVersion,
    view: ProfileView,
    now: datetime,
) -> Iterator[Line]:
    """Yield whether a message of each of the journey's actions could be sent at this moment."""
    recipient = read_recipients(session, scope, [view.profile.id]).get(view.profile.id)
    if recipient is None:
        return
    definition = parse(version.definition)
    by_id = {str(row.id): row for row in actions.list_all(session, scope)}
    for node in definition.nodes:
        if isinstance(node, CustomAction) and node.action_id in by_id:
            yield from _sendable(by_id[node.action_id], node.id, recipient, now)


def _sendable(
    action: ActionRow,
    node_id: str,
    recipient: Recipient,
    now: datetime,
) -> Iterator[Line]:
    """Ask the gates of a send, one by one, as the dispatcher asks them together."""
    try:
        needs_token = get_adapter(action.adapter).needs_token
        channel = channel_of(action.adapter, action.settings)
    except InvalidInputError:
        return
    app_id, platform = action.settings.get("appId"), action.settings.get("platform")
    asked = {
        Gate.CONSENT: Addressing(
            needs_token=False, is_marketing=action.is_marketing, channel=channel
        ),
        Gate.OWNER: Addressing(needs_token, is_marketing=False, app_id=app_id, platform=platform),
    }
    for gate, addressing in asked.items():
        if gate is Gate.OWNER and not needs_token:
            continue
        verdict = gates.judge(
            addressing,
            expires_at=now + timedelta(days=1),
            now=now,
            attributes=recipient.attributes,
            tokens=recipient.tokens,
        )
        is_refused = isinstance(verdict, Refused)
        yield Line(
            gate,
            not is_refused,
            Basis.EVALUATED_NOW,
            verdict.reason if isinstance(verdict, Refused) else None,
            {
                "action": action.name,
                "isMarketing": action.is_marketing,
                "tokens": len(recipient.tokens),
                **(verdict.facts if isinstance(verdict, Refused) else {}),
            },
            node_id=node_id,
        )
