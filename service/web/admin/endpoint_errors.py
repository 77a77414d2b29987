"""Refusals of endpoint configs with the member ``error`` that Adobe's clients read."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.core.errors import ConflictError, EdgepostError, InvalidInputError, NotFoundError
from service.core.json import JsonObject, encode_text
from service.web.errors import UnreadableRequestError


@contextmanager
def adobes_errors(compat: str | None) -> Iterator[None]:
    """Add Adobe's member ``error`` to a refusal; bad input becomes 400, as in Adobe's guide.

    With ``compat`` the member is a JSON text, as Adobe's own answers have it.
    """
    try:
        yield
    except InvalidInputError as refused:
        raise UnreadableRequestError(refused.detail, error=_member(refused, compat)) from refused
    except NotFoundError as refused:
        if not refused.fields:
            raise
        raise NotFoundError(refused.detail, error=_member(refused, compat)) from refused
    except ConflictError as refused:
        raise ConflictError(refused.detail, error=_member(refused, compat)) from refused


def _member(refused: EdgepostError, compat: str | None) -> JsonObject | str:
    said = {"message": refused.detail, **refused.fields}
    return said if compat is None else encode_text(said)
