"""The OpenAPI document, its offline page, and the blueprint that every resource uses."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import flask_swagger_ui
from flask import Blueprint as FlaskBlueprint
from flask import Flask, Response, redirect, send_from_directory
from flask_smorest import Api as SmorestApi
from flask_smorest import Blueprint as SmorestBlueprint
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from service.access.permissions import Permission
from service.web.errors import PROBLEM_TYPE, http_problem
from service.web.parameter_texts import ParameterTexts
from service.web.parsing import StrictParser
from service.web.payloads.problems import ProblemSchema
from service.web.wire_paths import PATHS

_PAGES = Path(flask_swagger_ui.__file__).parent / "dist"
_SANDBOX_HEADER = {
    "name": "x-sandbox-name",
    "in": "header",
    "required": False,
    "description": "The sandbox to act in.",
    "schema": {"type": "string", "default": "prod", "pattern": "^[a-z][a-z0-9-]{0,255}$"},
}


class Blueprint(SmorestBlueprint):
    """A group of resources; bodies are read strictly."""

    ARGUMENTS_PARSER = StrictParser()


class Api(SmorestApi):
    """flask-smorest with errors as problem details, in fact and in the document.

    flask-smorest 0.47 drops the headers of werkzeug's errors and documents a shape of its own.
    """

    DEFAULT_RESPONSE_CONTENT_TYPE: str = "application/json"
    ERROR_SCHEMA = ProblemSchema

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Answer werkzeug's errors."""
        return http_problem(error)

    def _register_responses(self) -> None:
        normal = self.DEFAULT_RESPONSE_CONTENT_TYPE
        self.DEFAULT_RESPONSE_CONTENT_TYPE = PROBLEM_TYPE
        try:
            super()._register_responses()
        finally:
            self.DEFAULT_RESPONSE_CONTENT_TYPE = normal

    def register_resource(self, blueprint: Blueprint, *, is_scoped: bool = True) -> None:
        """Serve and document a blueprint, with the sandbox header unless it stands above them."""
        self.register_blueprint(blueprint, parameters=["sandbox"] if is_scoped else [])


def build_api(app: Flask) -> Api:
    """Return an application's API, with ``/openapi.json`` and the page ``/docs``."""
    app.config.update(
        API_TITLE="edgepost",
        API_VERSION="1",
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={"paths": deepcopy(PATHS)},  # apispec merges into what it is given
        OPENAPI_URL_PREFIX="/",
        OPENAPI_SWAGGER_UI_PATH="/docs",
        OPENAPI_SWAGGER_UI_URL="/docs/files/",
    )
    _serve_pages(app)
    api = Api(app, spec_kwargs={"extra_plugins": [ParameterTexts()]})
    api.spec.components.parameter("sandbox", "header", _SANDBOX_HEADER)
    for name, scheme in _security_schemes().items():
        api.spec.components.security_scheme(name, scheme)
    return api


def _serve_pages(app: Flask) -> None:
    """Serve Swagger UI's own files, so that the page needs no other host."""
    pages = FlaskBlueprint("documentation", __name__)

    def files(name: str) -> Response:
        return send_from_directory(_PAGES, name)

    def without_slash() -> WerkzeugResponse:
        return redirect("/docs", 308)

    pages.add_url_rule("/docs/files/<path:name>", "files", files, methods=["GET"])
    pages.add_url_rule("/docs/", "without_slash", without_slash, methods=["GET"])
    app.register_blueprint(pages)


def _security_schemes() -> dict[str, dict[str, Any]]:
    scopes = {each.value: each.value.replace(".", ": ") for each in Permission}
    grant = {"tokenUrl": "/ims/token/v3", "scopes": scopes}
    return {
        "accessToken": {"type": "oauth2", "flows": {"clientCredentials": grant}},
        "apiKey": {
            "type": "apiKey",
            "in": "header",
            "name": "x-api-key",
            "description": "The client id that the access token belongs to.",
        },
        "organisation": {
            "type": "apiKey",
            "in": "header",
            "name": "x-gw-ims-org-id",
            "description": "The organisation of this installation.",
        },
    }
