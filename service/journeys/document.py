"""Read a journey definition from JSON, in the shape of Journey Optimizer's retrieve API.

A draft is read leniently as a graph (targets may be missing or wrong) and strictly as a
document: a key, type or word that is not understood is refused, never ignored.

Source: Journey Optimizer, Journey retrieve API. The kinds of nodes are ours, since Adobe does
not publish theirs: audience_qualification {segmentId, status}, unitary {eventID}, condition,
wait {delay}, custom_action {actionId, actionName, paramMappings}, reaction {messageNodeId,
interaction, actionID, timeout}, end.
"""

import re
from datetime import timedelta
from typing import Any

from service.core import json
from service.journeys.definitions import (
    DEFAULT_ACTION_TIMEOUT_S,
    DEFAULT_REENTRANCE_WAIT,
    MAX_DOCUMENT_BYTES,
    Condition,
    Constant,
    ContextValue,
    CustomAction,
    End,
    EventEntry,
    JourneyDefinition,
    JourneyType,
    Node,
    NodeType,
    Parameter,
    ParameterSource,
    ProfileValue,
    Qualification,
    QualificationEntry,
    Reaction,
    Reentrance,
    Transition,
    TransitionKind,
    Wait,
)
from service.journeys.durations import parse_duration
from service.journeys.fields import Fields
from service.journeys.problems import DefinitionError, Problem, ProblemCode
from service.outbound.interactions import InteractionKind

# What our own answers carry beside the definition: a document read back is accepted.
_READ_ONLY = ("id", "version", "status", "imsOrgId", "sandboxName", "metadata")
_ADOBE_JOURNEY = frozenset(
    {"labels", "metrics", "priority", "profileMergePolicyId", "ruleset", "schedule"},
)
_ADOBE_NODE = frozenset(
    {
        *("audiences", "campaign", "channel", "correlationId", "expression", "surface"),
        *("sendTimeOptimization", "throttlingRate", "useDelta", "verbs"),
    },
)
_ADOBE_TRANSITION = frozenset({"counterValue", "dates", "days", "times"})
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*", re.ASCII)
_CONSTANT = re.compile(r'["\d-]|(?:true|false|null)$', re.ASCII)
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_MAX_SECONDS = 10**9


def parse(document: object, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> JourneyDefinition:
    """Return the definition that ``document``, decoded JSON, spells.

    Nothing is promised about whether it can run; ``validation.validate`` says that.

    Raises:
        DefinitionError: The document is too large or cannot be understood; it names everything
            that was wrong, each with its JSON pointer.
    """
    size_bytes = _measure(document, max_bytes)
    problems: list[Problem] = []
    fields = Fields(document, "", problems)
    for key in _READ_ONLY:
        fields.take(key)
    timeouts = fields.object("timeouts")
    definition_type = fields.choice("type", JourneyType, None)
    name, description = fields.text("name", is_required=True), fields.text("description")
    namespace = fields.optional_text("identityNamespace")
    reentrance = _reentrance(fields.object("reentrance"))
    start_node_id = fields.optional_text("startNodeId")
    nodes: list[Node] = []
    for item in fields.objects("nodes"):
        namespace = _agreed_namespace(item, namespace)
        node = _node(item)
        if node is not None:
            nodes.append(node)
    action_timeout_s = timeouts.integer("actionExecution", DEFAULT_ACTION_TIMEOUT_S)
    timeouts.refuse_rest(frozenset({"entityEnrichment"}))
    fields.refuse_rest(_ADOBE_JOURNEY)
    if problems:
        raise DefinitionError(problems)
    return JourneyDefinition(
        name=name,
        nodes=tuple(nodes),
        description=description,
        type=definition_type,
        start_node_id=start_node_id,
        identity_namespace=namespace,
        reentrance=reentrance,
        action_timeout_s=action_timeout_s,
        size_bytes=size_bytes,
    )


def _measure(document: object, max_bytes: int) -> int:
    """Return the compact size in bytes, refusing what is too large or cannot be written."""
    try:
        encoded = json.encode(document)
    except (RecursionError, TypeError, ValueError) as error:
        problem = Problem("", ProblemCode.WRONG_TYPE, "the document is not JSON that can be kept")
        raise DefinitionError([problem]) from error
    if _ESCAPED_NUL.search(encoded):
        problem = Problem("", ProblemCode.WRONG_TYPE, "the document holds a NUL character")
        raise DefinitionError([problem])
    size_bytes = len(encoded)
    if size_bytes > max_bytes:
        message = f"the definition has {size_bytes} bytes, {max_bytes} are allowed"
        largest = _largest_node(document)
        if largest:
            message += f"; its largest node is {largest!r}"
        raise DefinitionError([Problem("", ProblemCode.DOCUMENT_TOO_LARGE, message)])
    return size_bytes


def _largest_node(document: object) -> str | None:
    nodes = document.get("nodes") if isinstance(document, dict) else None
    if not isinstance(nodes, list) or not nodes:
        return None
    largest: Any = max(nodes, key=lambda node: len(json.encode(node)))
    found = largest.get("id") if isinstance(largest, dict) else None
    return found[:60] if isinstance(found, str) else None


def _reentrance(fields: Fields) -> Reentrance:
    policy = fields.text("policy", default="allow")
    if policy not in {"allow", "never"}:
        fields.add("policy", ProblemCode.UNKNOWN_VALUE, "expected one of allow, never")
    default_s = int(DEFAULT_REENTRANCE_WAIT.total_seconds())
    wait_s = fields.integer("durationInSecs", default_s)
    if not 0 <= wait_s <= _MAX_SECONDS:
        fields.add("durationInSecs", ProblemCode.WRONG_TYPE, "expected a number of seconds")
        wait_s = default_s
    fields.refuse_rest()
    return Reentrance(is_allowed=policy == "allow", wait=timedelta(seconds=wait_s))


def _agreed_namespace(node: Fields, so_far: str | None) -> str | None:
    """Return the journey's one namespace: Adobe writes it on the entry node."""
    stated = node.optional_text("identityNamespace")
    if stated and so_far and stated != so_far:
        message = f"one namespace per journey: this says {stated!r}, before it was {so_far!r}"
        node.add("identityNamespace", ProblemCode.UNKNOWN_VALUE, message)
    return so_far or stated


def _node(fields: Fields) -> Node | None:
    """Return one node, or ``None`` when its type is not known; problems are collected."""
    fields.take("description")
    node_id, name = fields.text("id", is_required=True), fields.text("name")
    fields.require("type")
    kind = fields.choice("type", NodeType, None)
    plain = TransitionKind.EXPRESSION if kind is NodeType.CONDITION else TransitionKind.NEXT
    transitions = tuple(_transition(item, plain) for item in fields.objects("transitions"))
    node: Node | None
    match kind:
        case NodeType.AUDIENCE_QUALIFICATION:
            status = fields.choice("status", Qualification, Qualification.REALIZED)
            segment_id = fields.text("segmentId")
            status = status or Qualification.REALIZED
            node = QualificationEntry(node_id, name, segment_id, status, transitions)
        case NodeType.UNITARY:
            node = EventEntry(node_id, name, fields.text("eventID"), transitions)
        case NodeType.CONDITION:
            node = Condition(node_id, name, transitions)
        case NodeType.WAIT:
            node = Wait(node_id, name, _duration(fields, "delay"), transitions)
        case NodeType.CUSTOM_ACTION:
            node = _custom_action(fields, node_id, name, transitions)
        case NodeType.REACTION:
            node = _reaction(fields, node_id, name, transitions)
        case NodeType.END:
            node = End(node_id, name, transitions)
        case None:
            return None
    fields.refuse_rest(_ADOBE_NODE)
    return node


def _transition(fields: Fields, plain: TransitionKind) -> Transition:
    kind = fields.choice("conditionType", TransitionKind, plain)
    transition = Transition(
        kind=kind or plain,
        target_id=fields.optional_text("targetNodeId"),
        name=fields.text("name"),
        expression=fields.optional_text("expression"),
        percent=fields.integer("percent", 0),
    )
    fields.take("targetName")
    fields.refuse_rest(_ADOBE_TRANSITION)
    return transition


def _duration(fields: Fields, key: str) -> timedelta:
    fields.require(key)
    value = fields.take(key)
    if value is None:
        return timedelta()
    try:
        return parse_duration(value)
    except ValueError as error:
        fields.add(key, ProblemCode.BAD_DURATION, str(error))
        return timedelta()


def _custom_action(
    fields: Fields,
    node_id: str,
    name: str,
    transitions: tuple[Transition, ...],
) -> CustomAction:
    has_error_path = any(way.kind is TransitionKind.TIMEOUT_OR_ERROR for way in transitions)
    stated = fields.boolean("fallbackOnTimeoutOrError")
    if stated is not None and stated is not has_error_path:
        message = "this and a transition with conditionType timeoutOrError go together"
        fields.add("fallbackOnTimeoutOrError", ProblemCode.WRONG_TRANSITION, message)
    return CustomAction(
        id=node_id,
        name=name,
        action_id=fields.text("actionId"),
        action_name=fields.text("actionName"),
        parameters=tuple(_parameter(item) for item in fields.objects("paramMappings")),
        transitions=transitions,
    )


def _reaction(
    fields: Fields,
    node_id: str,
    name: str,
    transitions: tuple[Transition, ...],
) -> Reaction:
    fields.require("interaction")
    kind = fields.choice("interaction", InteractionKind, None)
    return Reaction(
        id=node_id,
        name=name,
        message_node_id=fields.text("messageNodeId", is_required=True),
        interaction=kind or InteractionKind.OPENED,
        action_id=fields.optional_text("actionID"),
        timeout=_duration(fields, "timeout"),
        transitions=transitions,
    )


def _parameter(fields: Fields) -> Parameter:
    path = fields.text("paramPath", is_required=True)
    if path and not _PATH.fullmatch(path):
        fields.add("paramPath", ProblemCode.BAD_PARAMETER, "expected names joined by dots")
    expression = fields.text("expression", is_required=True)
    label = fields.text("label")
    source: ParameterSource = Constant(None)
    if expression:
        try:
            source = _source(expression.strip())
        except ValueError:
            message = 'expected a path such as person.name.firstName, or a constant such as "VIP"'
            fields.add("expression", ProblemCode.BAD_PARAMETER, message)
    fields.refuse_rest()
    return Parameter(path=path, source=source, label=label)


def _source(expression: str) -> ParameterSource:
    """Return what an expression names: a JSON constant, a context path or a profile path."""
    if _CONSTANT.match(expression):
        value = json.decode(expression)
        if isinstance(value, str) and "\0" in value:
            raise ValueError("NUL cannot be kept")
        return Constant(value)
    if not _PATH.fullmatch(expression):
        raise ValueError("not a path")
    root, _, rest = expression.partition(".")
    if root == "context":
        return ContextValue(tuple(rest.split(".")) if rest else ())
    return ProfileValue(expression)
