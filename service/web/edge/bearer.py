"""Whether a server may send to a datastream: ``v2``, and all requests where it asks for tokens.

Source: Edge Network API, "Authentication" (access types, errors ``EXEG-0500-401`` and following).
"""

from collections.abc import Callable
from wsgiref.types import WSGIEnvironment

from service.access.permissions import Permission
from service.access.tokens import AccessToken, ExpiredTokenError, MalformedTokenError
from service.catalog.datastream_settings import AccessType
from service.core.errors import UnauthorizedError
from service.flows.sources import DatastreamSource
from service.web.edge import errors
from service.web.edge.target import EdgeTarget

TokenReader = Callable[[str], AccessToken]
"""Verifies an access token, or raises ``UnauthorizedError``."""


def admit(
    target: EdgeTarget, source: DatastreamSource, environ: WSGIEnvironment, read: TokenReader
) -> None:
    """Let a request pass that needs no token, or carries one that is good for this datastream.

    Raises:
        EdgeError: 401 with the code that says why.
        StoreUnavailableError: The store had to be asked and is away.
    """
    if not target.is_server and source.settings.access_type is AccessType.MIXED:
        return
    scheme, _, text = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise errors.no_token()
    token = _verified(text.strip(), read)
    named = (
        (environ.get("HTTP_X_API_KEY"), token.client_id),
        (environ.get("HTTP_X_GW_IMS_ORG_ID"), token.org_id),
    )
    if any(given is not None and given != own for given, own in named):
        raise errors.foreign_token()
    if Permission.COLLECT not in token.permissions:
        raise errors.token_without_scope(Permission.COLLECT)
    if not token.may_enter(source.scope.sandbox):
        raise errors.closed_sandbox(source.scope.sandbox)


def nobody(_: str) -> AccessToken:
    """Refuse every token."""
    raise UnauthorizedError("No access token is accepted here.")


def _verified(text: str, read: TokenReader) -> AccessToken:
    try:
        return read(text)
    except MalformedTokenError as error:
        raise errors.no_token() from error
    except ExpiredTokenError as error:
        raise errors.expired_token() from error
    except UnauthorizedError as error:
        raise errors.wrong_token() from error
