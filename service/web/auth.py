"""Who may call which route: every route declares a permission or that it is open.

A route that declares neither answers 500 to everyone, so a forgotten declaration opens nothing.
Source: Experience Platform APIs, the headers ``Authorization``, ``x-api-key``,
``x-gw-ims-org-id`` and ``x-sandbox-name``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask, current_app, g, request
from flask_smorest import Blueprint

from service.access.permissions import Permission
from service.access.tokens import AccessToken
from service.core.errors import ForbiddenError, NotFoundError, UnauthorizedError
from service.db.session import unit_of_work
from service.flows.open_sandbox import DEFAULT_SANDBOX
from service.sandboxes import registry
from service.sandboxes.scope import Scope
from service.web.context import access_tokens, services
from service.web.parsing import check_texts

View = TypeVar("View", bound=Callable[..., Any])
OPEN_ENDPOINTS = frozenset(
    {
        *("api-docs.openapi_json", "api-docs.openapi_swagger_ui"),
        *("documentation.files", "documentation.without_slash"),
    },
)
_SECURITY = ("accessToken", "apiKey", "organisation")


@dataclass(frozen=True, slots=True)
class Access:
    """What a route declares.

    Attributes:
        permission: What the token must allow; ``None`` leaves the route open to everyone.
        is_scoped: Whether the route acts inside the sandbox that ``x-sandbox-name`` names.
    """

    permission: Permission | None
    is_scoped: bool


def requires(permission: Permission, *, is_scoped: bool = True) -> Callable[[View], View]:
    """Declare what a caller needs; the check runs before arguments are read."""

    def declare(view: View) -> View:
        needs = {name: [permission.value] if name == "accessToken" else [] for name in _SECURITY}
        documented: View = Blueprint.doc(security=[needs])(view)
        vars(documented)["access"] = Access(permission, is_scoped)
        return documented

    return declare


def open_to_everyone(view: View) -> View:
    """Declare that a route needs no token."""
    documented: View = Blueprint.doc(security=[])(view)
    vars(documented)["access"] = Access(None, is_scoped=False)
    return documented


def register(app: Flask) -> None:
    """Check every request before its view runs."""
    app.before_request(check_access)


def declared_access(endpoint: str, method: str) -> Access | None:
    """Return what the view behind an endpoint declares for a method."""
    if endpoint in OPEN_ENDPOINTS:
        return Access(None, is_scoped=False)
    view: Any = current_app.view_functions[endpoint]
    name = "get" if method == "HEAD" else method.lower()
    inner = getattr(getattr(view, "view_class", None), name, view)
    found: Access | None = getattr(inner, "access", None)
    return found


def check_access() -> None:
    """Let the request pass, or raise; a path without a route is left to its 404 or 405."""
    queried = (text for name, values in request.args.lists() for text in (name, *values))
    check_texts([request.path, request.headers.get("x-sandbox-name", ""), *queried])
    if request.endpoint is None or request.method == "OPTIONS":
        return
    access = declared_access(request.endpoint, request.method)
    if access is None:
        raise RuntimeError(f"{request.endpoint} declares no access")
    if access.permission is None:
        return
    g.caller = _caller()
    if access.permission not in g.caller.permissions:
        raise ForbiddenError(f"The access token lacks the scope {access.permission}.")
    name = request.headers.get("x-sandbox-name", DEFAULT_SANDBOX)
    if access.is_scoped:
        g.scope = _entered(g.caller, name)


def _caller() -> AccessToken:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise UnauthorizedError("Send an access token: `Authorization: Bearer …`.")
    token = access_tokens().verify(text.strip())
    if request.headers.get("x-api-key") != token.client_id:
        raise ForbiddenError("x-api-key must be the client id that the access token belongs to.")
    if request.headers.get("x-gw-ims-org-id") != token.org_id:
        raise ForbiddenError("x-gw-ims-org-id must be the organisation of the access token.")
    return token


def _entered(token: AccessToken, name: str) -> Scope:
    if not token.may_enter(name):
        raise ForbiddenError(f"The access token is not for the sandbox {name}.")
    with unit_of_work(services().sessions) as session:
        found = registry.find(session, name)
    if found is None:
        raise NotFoundError(f"There is no sandbox {name}.")
    return found
