"""Whether a node gives a custom action the parameters that the action declares.

Source: Journey Optimizer, custom action activity (dynamic parameters).
"""

from collections.abc import Iterator, Sequence

from service.journeys.definitions import Constant, CustomAction
from service.journeys.problems import Problem, ProblemCode
from service.outbound.action_parameters import ActionParameter, ParameterKind, problem_of


def parameter_problems(
    node: CustomAction, path: str, declared: Sequence[ActionParameter]
) -> Iterator[Problem]:
    """Yield what a node gives and may not, what it lacks, and constants of another type.

    Nothing is asked where an action declares nothing. What a profile or an event will hold is known
    when the message is made.
    """
    if not declared:
        return
    by_name = {each.name: each for each in declared}
    for index, given in enumerate(node.parameters):
        at = f"{path}/paramMappings/{index}"
        known = by_name.get(given.path)
        if known is None:
            message = f"the action has no parameter {given.path!r}: {', '.join(by_name)}"
            yield Problem(f"{at}/paramPath", ProblemCode.UNKNOWN_PARAMETER, message)
        elif known.kind is ParameterKind.CONSTANT:
            message = f"{given.path!r} is fixed by the action"
            yield Problem(f"{at}/paramPath", ProblemCode.UNKNOWN_PARAMETER, message)
        elif isinstance(given.source, Constant):
            why = problem_of(known, given.source.value)
            if why is not None:
                message = f"{given.path!r}: {why}"
                yield Problem(f"{at}/expression", ProblemCode.WRONG_PARAMETER_TYPE, message)
    given_paths = {given.path for given in node.parameters}
    for each in declared:
        if each.must_be_given and each.name not in given_paths:
            message = f"the action needs the parameter {each.name!r}"
            yield Problem(f"{path}/paramMappings", ProblemCode.MISSING_PARAMETER, message)
