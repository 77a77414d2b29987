"""Liquid with limits: no template may eat time or memory, nor include another.

Source: Liquid as python-liquid 2.3 implements it.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

from liquid import Environment
from liquid.exceptions import OutputStreamLimitError
from liquid.undefined import Undefined

MAX_TEXT = 64 * 1024
_REFUSED_TAGS = ("include", "render")


class _BoundedEnvironment(Environment):
    loop_iteration_limit = 10_000
    output_stream_limit = MAX_TEXT
    local_namespace_limit = 256 * 1024
    context_depth_limit = 20
    block_nesting_limit = 20


@lru_cache(maxsize=2)
def environment_of(undefined: type[Undefined]) -> Environment:
    """Return the environment in which a missing variable is an ``undefined``."""
    environment = _BoundedEnvironment(undefined=undefined, strict_filters=True)
    for tag in _REFUSED_TAGS:
        del environment.tags[tag]
    for name, apply in list(environment.filters.items()):
        environment.filters[name] = _bounded(apply)
    for name in ("replace", "replace_first", "replace_last", "join"):
        environment.filters[name] = _foreseen(environment.filters[name])
    return environment


def _bounded(apply: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter whose result cannot be longer than a whole message may be."""

    @wraps(apply)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        result = apply(*args, **kwargs)
        if isinstance(result, str | list | tuple) and len(result) > MAX_TEXT:
            raise OutputStreamLimitError("a filter's result is too long", token=None)
        return result

    return bounded


def _foreseen(apply: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that multiplies lengths, refused before it does."""

    @wraps(apply)
    def foreseen(left: Any, *args: Any, **kwargs: Any) -> Any:
        repeated = max((len(arg) for arg in args if isinstance(arg, str)), default=0)
        length = len(left) if isinstance(left, str | list | tuple) else 0
        if (length + 1) * repeated > MAX_TEXT * 16:
            raise OutputStreamLimitError("a filter's result is too long", token=None)
        return apply(left, *args, **kwargs)

    return foreseen
