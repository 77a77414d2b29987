"""Reads bodies, forms and queries strictly, before any schema sees them.

What no store could keep (NUL, lone surrogates) and what would exhaust a parser is refused here,
in one place, for every route.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from flask import Request
from marshmallow import Schema
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import UnsupportedMediaType

from service.core.json import decode
from service.web.errors import UnreadableRequestError
from service.web.unreadable import fault_of

MAX_DEPTH = 64
_FORM = "application/x-www-form-urlencoded"


class StrictParser(FlaskParser):
    """A webargs parser that leaves unknown keys to the schema, which refuses them."""

    DEFAULT_UNKNOWN_BY_LOCATION = dict.fromkeys(FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION)

    def load_json(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002 - webargs' signature
        """Return the JSON body.

        Raises:
            UnsupportedMediaType: The body is not declared as JSON.
            UnreadableRequestError: It is not JSON, too deep, or holds text that cannot be stored.
        """
        if not req.is_json:
            raise UnsupportedMediaType("Send the body as application/json.")
        body = req.get_data(cache=True)
        try:
            document = decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableRequestError(
                f"The body is not readable JSON: {fault_of(body, error)}."
            ) from error
        check_document(document)
        return document

    def load_form(self, req: Request, schema: Schema) -> Any:
        """Return the form; the same refusals as for JSON."""
        if req.mimetype != _FORM:
            raise UnsupportedMediaType(f"Send the body as {_FORM}.")
        check_texts(value for values in req.form.lists() for value in (values[0], *values[1]))
        return super().load_form(req, schema)


def check_document(document: Any) -> None:
    """Refuse a JSON value that is nested too deeply or holds text that cannot be stored.

    Raises:
        UnreadableRequestError: It is or does; the message says where.
    """
    waiting: list[tuple[Any, str, int]] = [(document, "body", 0)]
    while waiting:
        value, path, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise UnreadableRequestError(f"The body is nested deeper than {MAX_DEPTH} levels.")
        if isinstance(value, str):
            _check_text(value, path)
        elif isinstance(value, list):
            waiting += [(each, f"{path}[{i}]", depth + 1) for i, each in enumerate(value)]
        elif isinstance(value, dict):
            check_texts(value)
            waiting += [(each, f"{path}.{name}", depth + 1) for name, each in value.items()]


def check_texts(texts: Iterable[str]) -> None:
    """Refuse names or values that cannot be stored.

    Raises:
        UnreadableRequestError: One cannot.
    """
    for text in texts:
        _check_text(text, "a name or value")


def _check_text(text: str, where: str) -> None:
    if "\x00" in text:
        raise UnreadableRequestError(f"There is a NUL character in {where}.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UnreadableRequestError(f"There is half a character in {where}.") from error
