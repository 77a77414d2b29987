"""How a segment is evaluated: streaming, while events come in, or in batch."""

from dataclasses import dataclass
from enum import StrEnum

from service.core.errors import InvalidInputError
from service.segments.pql.reads import NotEligible, streaming_eligibility
from service.segments.pql.syntax import Expression


class Evaluation(StrEnum):
    """An evaluation method; every segment is also part of each batch run."""

    STREAMING = "streaming"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Method:
    """What was decided, and why."""

    evaluation: Evaluation
    reason: str


def decide(expression: Expression, requested: Evaluation | None) -> Method:
    """Return how a rule is evaluated; a request for streaming is kept or refused, never downgraded.

    Raises:
        InvalidInputError: Streaming was asked for and the rule is not eligible; the message says
            what in it stands in the way.

    Source: Segmentation Service API, ``evaluationInfo``: batch where nothing is given.
    """
    if requested is None:
        return Method(Evaluation.BATCH, "no method was asked for, so it is evaluated in batch")
    eligibility = streaming_eligibility(expression)
    if requested is Evaluation.STREAMING:
        if isinstance(eligibility, NotEligible):
            raise InvalidInputError(
                f"The rule cannot be evaluated by streaming: {eligibility.reason}. "
                "Ask for batch, or change the rule.",
                reason=eligibility.reason,
            )
        return Method(requested, eligibility.reason)
    return Method(requested, "batch was asked for")
