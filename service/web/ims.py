"""Access tokens for client credentials, at the path that Adobe's clients call.

Errors are problem details that also carry OAuth's ``error`` member, so both kinds of clients can
read them. Source: Adobe IMS, ``POST /ims/token/v3``; RFC 6749, sections 4.4 and 5.2.
"""

from dataclasses import dataclass
from typing import Any

from flask import Response
from flask.views import MethodView
from marshmallow import EXCLUDE, Schema, fields, post_load, validate
from werkzeug.exceptions import HTTPException

from service.core.errors import ForbiddenError, UnauthorizedError
from service.core.secret import Secret
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import open_to_everyone
from service.web.context import access_tokens
from service.web.errors import UnreadableRequestError, http_problem, problem

_NOT_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}
blueprint = Blueprint("access tokens", __name__, description="OAuth2 client credentials.")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A client that proves itself; ``scopes`` narrows what it asks for."""

    client_id: str
    client_secret: Secret
    grant_type: str
    scopes: list[str]


class TokenRequestSchema(Schema):
    """The form of a token request; parameters that OAuth does not know are ignored."""

    class Meta:
        """Options of marshmallow."""

        unknown = EXCLUDE

    grant_type = fields.String(required=True, validate=validate.Length(1, 64))
    client_id = fields.String(required=True, validate=validate.Length(1, 64))
    client_secret = fields.String(required=True, validate=validate.Length(1, 256))
    scope = fields.String(
        load_default="",
        validate=validate.Length(max=4096),
        metadata={
            "description": (
                "Scopes to narrow the token to, separated by commas or spaces; left out, all that "
                "the client has. One that does not exist is refused (`invalid_scope`); `openid` "
                "and the others that Adobe's clients send are passed over."
            )
        },
    )

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> TokenRequest:
        """Return the request with its secret out of sight."""
        return TokenRequest(
            values["client_id"],
            Secret(values["client_secret"]),
            values["grant_type"],
            values["scope"].replace(",", " ").split(),
        )


class IssuedTokenSchema(Schema):
    """A token to send as ``Authorization: Bearer``."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds."})
    scope = fields.String(
        required=True,
        metadata={"description": "What the token allows, separated by spaces."},
    )


@blueprint.route("/ims/token/v3")
class Tokens(MethodView):
    """Access tokens."""

    @open_to_everyone
    @blueprint.arguments(
        TokenRequestSchema, location="form", error_status_code=400, example=examples.TOKEN
    )
    @blueprint.response(200, IssuedTokenSchema)
    def post(self, asked: TokenRequest) -> Any:
        """Issue an access token for a client id and its secret."""
        if asked.grant_type != "client_credentials":
            raise UnreadableRequestError(
                "grant_type must be client_credentials.",
                error="unsupported_grant_type",
            )
        issued = access_tokens().issue(asked.client_id, asked.client_secret, asked.scopes)
        answer = {
            "access_token": issued.text.reveal(),
            "token_type": "bearer",
            "expires_in": issued.expires_in,
            "scope": " ".join(issued.permissions),
        }
        return answer, _NOT_KEPT


@blueprint.errorhandler(HTTPException)
def _unreadable(error: HTTPException) -> Response:
    return http_problem(error, error="invalid_request")


@blueprint.errorhandler(UnreadableRequestError)
def _wrong_request(error: UnreadableRequestError) -> Response:
    return problem(400, error.detail, **{"error": "invalid_request", **error.fields})


@blueprint.errorhandler(UnauthorizedError)
def _wrong_client(error: UnauthorizedError) -> Response:
    headers = {"WWW-Authenticate": 'Basic realm="edgepost"', **_NOT_KEPT}
    return problem(401, error.detail, headers=headers, error="invalid_client")


@blueprint.errorhandler(ForbiddenError)
def _wrong_scope(error: ForbiddenError) -> Response:
    return problem(400, error.detail, headers=_NOT_KEPT, error="invalid_scope", **error.fields)
