"""What keeps a journey from being stored or published."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from service.core.errors import InvalidInputError


class ProblemCode(StrEnum):
    """One code for each thing that can be wrong; part of the API."""

    # The document cannot be read: not even a draft can be stored.
    DOCUMENT_TOO_LARGE = "documentTooLarge"
    WRONG_TYPE = "wrongType"
    MISSING = "missing"
    UNKNOWN_KEY = "unknownKey"
    NOT_SUPPORTED = "notSupported"
    UNKNOWN_VALUE = "unknownValue"
    BAD_DURATION = "badDuration"
    BAD_PARAMETER = "badParameter"
    # The document reads well, and cannot run.
    DOCUMENT_NEARLY_TOO_LARGE = "documentNearlyTooLarge"
    BAD_NAME = "badName"
    BAD_NODE_ID = "badNodeId"
    DUPLICATE_NODE_ID = "duplicateNodeId"
    TOO_MANY_ACTIVITIES = "tooManyActivities"
    NO_ENTRY = "noEntry"
    SEVERAL_ENTRIES = "severalEntries"
    WRONG_JOURNEY_TYPE = "wrongJourneyType"
    WRONG_START_NODE = "wrongStartNode"
    NO_NAMESPACE = "noNamespace"
    UNKNOWN_NAMESPACE = "unknownNamespace"
    UNKNOWN_SEGMENT = "unknownSegment"
    UNKNOWN_ACTION = "unknownAction"
    UNKNOWN_TARGET = "unknownTarget"
    ENTRY_AS_TARGET = "entryAsTarget"
    UNREACHABLE_NODE = "unreachableNode"
    CYCLE = "cycle"
    DEAD_END = "deadEnd"
    DEAD_CONDITION_PATH = "deadConditionPath"
    WRONG_TRANSITION = "wrongTransition"
    INVALID_EXPRESSION = "invalidExpression"
    DUPLICATE_PARAMETER = "duplicateParameter"
    UNKNOWN_PARAMETER = "unknownParameter"
    MISSING_PARAMETER = "missingParameter"
    WRONG_PARAMETER_TYPE = "wrongParameterType"
    UNKNOWN_MESSAGE = "unknownMessage"
    MESSAGE_NOT_BEFORE = "messageNotBefore"
    BAD_REACTION = "badReaction"
    WAIT_TOO_LONG = "waitTooLong"
    WAIT_TOO_SHORT = "waitTooShort"
    WAITS_EXCEED_LIFE = "waitsExceedInstanceLife"
    BAD_REENTRANCE = "badReentrance"
    BAD_TIMEOUT = "badTimeout"


class Severity(StrEnum):
    """Whether a problem keeps the journey from running."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; ``path`` is a JSON pointer into the definition."""

    path: str
    code: ProblemCode
    message: str
    severity: Severity = Severity.ERROR


class DefinitionError(InvalidInputError):
    """The definition cannot be stored or published; nothing was changed.

    Attributes:
        problems: Everything found, in the order of the document.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        more = len(self.problems) - 1
        detail = f"{first.path or '/'}: {first.message}" + (f" ({more} more)" if more else "")
        super().__init__(
            detail,
            problems=[
                {"path": p.path, "code": p.code.value, "message": p.message} for p in self.problems
            ],
        )


def refuse_errors(problems: Iterable[Problem]) -> None:
    """Let warnings pass.

    Raises:
        DefinitionError: At least one problem keeps the journey from running.
    """
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        raise DefinitionError(errors)
