"""Streaming ingestion as a bare WSGI application: ``/collection/{inlet}`` and its batch form.

A 200, and a message without ``statusCode`` in a 207, means kept: the answer leaves after the
commit. Experience Platform accepts first and validates later; here nothing is accepted that was
not checked, so ``syncValidation`` only adds the list of what is wrong.

Source: Experience Platform, Streaming Ingestion API.
"""

import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from wsgiref.types import StartResponse, WSGIEnvironment

import structlog

from service.core.clock import Clock
from service.core.errors import StoreUnavailableError
from service.core.json import JsonObject, encode
from service.flows.sources import Disabled, InletSource
from service.sandboxes.scope import Scope
from service.web import answers, body
from service.web.answers import Answer
from service.web.body import BodyError
from service.web.collection import keeping, problems
from service.web.collection.keeping import Commits, Delivery, Outcome
from service.web.collection.messages import BATCHES, MessageError
from service.web.collection.problems import CollectionError, inlet_error
from service.web.request_ids import request_id_of

MAX_BODY_BYTES = 1024 * 1024
MAX_MESSAGES = 5000
TokenCheck = Callable[[str, Scope], bool]
"""Tells whether an ``Authorization`` header may send to a sandbox's inlets."""

_LOG = structlog.get_logger("service.web.collection")
_PATH = re.compile(r"/collection/(?P<batch>batch/)?(?P<inlet>[^/]+)")
_SYNC = re.compile(r"(?:^|&)sync(?:hronous)?Validation=true(?:&|$)")
_SMILE = "application/x-jackson-smile"


class Inlets(Protocol):
    """Finds inlets by what a URL names."""

    def inlet(self, text: str) -> InletSource | Disabled | None:
        """Return the inlet; ``StoreUnavailableError`` when it cannot be known now."""
        ...


class CollectionServices(Protocol):
    """What the endpoint works with."""

    @property
    def sources(self) -> Inlets:
        """Where inlets are found."""
        ...

    @property
    def committer(self) -> Commits:
        """Where messages are kept."""
        ...

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...


@dataclass(frozen=True, slots=True)
class _Call:
    """One request and the names it gives to its transactions."""

    environ: WSGIEnvironment
    request_id: str
    at: datetime
    serial: int

    @property
    def received_ms(self) -> int:
        return round(self.at.timestamp() * 1000)

    def xaction_id(self, index: int) -> str:
        return f"{self.received_ms}:{self.serial:04d}:{index}"


class CollectionApplication:
    """Answers servers that stream known profiles and events."""

    def __init__(self, services: CollectionServices, verify: TokenCheck) -> None:
        self._sources = services.sources
        self._committer = services.committer
        self._clock = services.clock
        self._verify = verify

    def matches(self, path: str) -> bool:
        """Tell whether a path belongs to streaming ingestion."""
        return _PATH.fullmatch(path) is not None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; trouble on our side is a 503 that asks for another try."""
        request_id = request_id_of(environ.get("HTTP_X_REQUEST_ID"))
        call = _Call(environ, request_id, self._clock.now(), secrets.randbelow(10_000))
        try:
            answer = self._answer(call)
        except CollectionError as error:
            _LOG.info("collection_refused", request_id=request_id, status=error.status)
            answer = answers.problem(error.problem, _HEADERS.get(error.status, ()))
        except StoreUnavailableError as error:
            _LOG.warning("collection_unavailable", request_id=request_id)
            answer = answers.try_later(problems.unavailable(), error.retry_after_s)
        except Exception as error:  # noqa: BLE001 - see the docstring
            _LOG.error("collection_failed", request_id=request_id, **answers.place_of(error))
            answer = answers.try_later(problems.unavailable(), answers.UNEXPECTED_RETRY_S)
        return answers.send(answer, start_response, request_id)

    def _answer(self, call: _Call) -> Answer:
        found = _PATH.fullmatch(call.environ.get("PATH_INFO", ""))
        if found is None:
            raise inlet_error(404, "Not found", "This path is not served.")
        if call.environ["REQUEST_METHOD"] != "POST":
            raise inlet_error(405, "Method not allowed", "Use POST.")
        source = self._source(found["inlet"])
        self._admit(call.environ, source)
        content = _content(call.environ)
        if found["batch"]:
            return self._keep_batch(call, source, content)
        return self._keep_one(call, source, content)

    def _keep_one(self, call: _Call, source: InletSource, content: bytes) -> Answer:
        is_sync = _SYNC.search(call.environ.get("QUERY_STRING", "")) is not None
        delivery = Delivery(source, call.request_id, call.at, (content,))
        (outcome,) = keeping.keep(self._committer, delivery)
        if outcome.status != keeping.KEPT:
            raise _refusal(outcome, source, is_sync=is_sync)
        checked = {"status": "pass"} if is_sync else {"skipped": True}
        return _spoken(
            200,
            {
                "inletId": str(source.id),
                "xactionId": call.xaction_id(0),
                "receivedTimeMs": call.received_ms,
                "syncValidation": checked,
            },
        )

    def _keep_batch(self, call: _Call, source: InletSource, content: bytes) -> Answer:
        try:
            batch = body.decode(content, BATCHES)
        except BodyError as error:
            raise problems.invalid_body(error) from error
        if len(batch.messages) > MAX_MESSAGES:
            message = f"The batch holds more than {MAX_MESSAGES} messages."
            raise inlet_error(400, problems.INVALID_FORMAT, message)
        messages = [bytes(each) for each in batch.messages]
        delivery = Delivery(source, call.request_id, call.at, messages)
        outcomes = keeping.keep(self._committer, delivery)
        return _spoken(
            207,
            {
                "inletId": str(source.id),
                "batchId": call.xaction_id(len(messages)),
                "receivedTimeMs": call.received_ms,
                "responses": [
                    _spelled(each, call.xaction_id(index), source)
                    for index, each in enumerate(outcomes)
                ],
            },
        )

    def _source(self, name: str) -> InletSource:
        source = self._sources.inlet(name)
        if source is None:
            raise inlet_error(404, "Unknown inlet", "The inlet of this URL does not exist.")
        if isinstance(source, Disabled):
            raise inlet_error(403, "Inlet disabled", f"The inlet {source.id} is disabled.")
        return source

    def _admit(self, environ: WSGIEnvironment, source: InletSource) -> None:
        """Refuse a request that may not send here, before its body is read."""
        if source.requires_token:
            authorization = environ.get("HTTP_AUTHORIZATION")
            if not authorization:
                raise problems.unauthorized(source)
            if not self._verify(authorization, source.scope):
                raise problems.forbidden(source)
        sandbox = environ.get("HTTP_X_SANDBOX_NAME")
        if sandbox is not None and sandbox != source.scope.sandbox:
            raise inlet_error(
                403, "Wrong sandbox", "The inlet is not of the sandbox in x-sandbox-name."
            )


_HEADERS: dict[int, answers.Headers] = {
    401: (("WWW-Authenticate", "Bearer"),),
    405: (("Allow", "POST"),),
}


def _content(environ: WSGIEnvironment) -> bytes:
    if environ.get("CONTENT_TYPE", "").lower().startswith(_SMILE):
        raise inlet_error(415, "Unsupported media type", "Send JSON as application/json.")
    encoding = environ.get("HTTP_CONTENT_ENCODING", "")
    if encoding not in {"", "identity"}:
        message = f"Content-Encoding {encoding[:32]} is not read: send plain JSON."
        raise inlet_error(415, "Unsupported media type", message)
    try:
        content = body.read(environ, MAX_BODY_BYTES)
    except BodyError as error:
        raise problems.invalid_body(error) from error
    if not content or content.isspace():
        raise inlet_error(400, problems.INVALID_FORMAT, "The request has no body.")
    return content


def _refusal(outcome: Outcome, source: InletSource, *, is_sync: bool) -> CollectionError:
    if outcome.status == keeping.REFUSED_BY_STORE:
        return inlet_error(outcome.status, "Unprocessable Entity", outcome.reason)
    error = outcome.error or MessageError(outcome.reason)
    return problems.refused_message(error, source, is_sync=is_sync)


def _spelled(outcome: Outcome, xaction_id: str, source: InletSource) -> JsonObject:
    if outcome.status == keeping.KEPT:
        return {"xactionId": xaction_id}
    return {"statusCode": outcome.status, "message": problems.spoken(outcome.reason, source)}


def _spoken(status: int, document: JsonObject) -> Answer:
    return Answer(status, encode(document))
