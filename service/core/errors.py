"""What can go wrong, by what the caller can do about it.

``service.web.errors`` maps each class to one HTTP status; nothing else does.
"""

from collections.abc import Mapping
from typing import Any


class EdgepostError(Exception):
    """Base of every error this service raises on purpose.

    Attributes:
        detail: One sentence for the caller: what is wrong and what to do.
        fields: Machine-readable facts beside it; never a secret or a body.
    """

    def __init__(self, detail: str, **fields: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields: Mapping[str, Any] = fields


class InvalidInputError(EdgepostError):
    """The input cannot be accepted as it is: correct it and send it again."""


class NotFoundError(EdgepostError):
    """The thing named does not exist in this sandbox."""


class ConflictError(EdgepostError):
    """The thing exists already, or its state does not allow the change."""


class ForbiddenError(EdgepostError):
    """The caller is known and may not do this."""


class UnauthorizedError(EdgepostError):
    """The caller is not known: the access token is missing, expired or wrong."""


class StoreUnavailableError(EdgepostError):
    """The database cannot be used now: nothing was stored, try again later.

    Attributes:
        retry_after_s: Whole seconds after which a retry is welcome.
    """

    def __init__(self, detail: str, *, retry_after_s: int = 5) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class RefusedDataError(EdgepostError):
    """The store refuses this one request's data; its neighbours were kept without it."""
