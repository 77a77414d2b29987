"""The Edge endpoint as a bare WSGI application: the hot path of the service.

No framework stands between the socket and the committer. A request is matched, read, parsed and
checked without a store; then it waits for the commit that keeps it, and only then is it answered.

Source: Edge Network API, "Interactive data collection", "Non-interactive data collection";
service/decisions/0004-group-commit.md.
"""

from collections.abc import Iterable
from typing import Protocol
from wsgiref.types import StartResponse, WSGIEnvironment

import structlog

from service.core.clock import Clock
from service.core.errors import RefusedDataError, StoreUnavailableError
from service.core.json import JsonObject
from service.flows.sources import DatastreamSource, Disabled
from service.profiles.incoming import IncomingRequest, Kept
from service.settings import Settings
from service.web import answers, body
from service.web.answers import Answer
from service.web.body import BodyError
from service.web.edge import errors
from service.web.edge.cors import PREFLIGHT, cors_headers
from service.web.edge.errors import EdgeError, RefusedOriginError
from service.web.edge.framing import render
from service.web.edge.handles import handles
from service.web.edge.protocol import ParsedRequest, parse
from service.web.edge.target import EdgeTarget, is_edge_path, read_target

_LOG = structlog.get_logger("service.web.edge")
_GRANTED = "in"
_METHOD_NOT_ALLOWED = 405
_NO_CONTENT = Answer(204)


class Datastreams(Protocol):
    """Finds datastreams by what a URL names."""

    def datastream(self, text: str) -> DatastreamSource | Disabled | None:
        """Return the datastream; ``StoreUnavailableError`` when it cannot be known now."""
        ...


class Commits(Protocol):
    """Keeps requests."""

    def submit(self, request: IncomingRequest) -> Kept:
        """Return when the request is committed."""
        ...


class EdgeServices(Protocol):
    """What the endpoint works with."""

    @property
    def sources(self) -> Datastreams:
        """Where datastreams are found."""
        ...

    @property
    def committer(self) -> Commits:
        """Where requests are kept."""
        ...

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...

    @property
    def settings(self) -> Settings:
        """How large a body may be."""
        ...


class EdgeApplication:
    """Answers the SDKs' ``interact`` and ``collect`` under any base path and location hint."""

    def __init__(self, services: EdgeServices) -> None:
        self._sources = services.sources
        self._committer = services.committer
        self._clock = services.clock
        self._max_body_bytes = services.settings.max_body_bytes

    def matches(self, path: str) -> bool:
        """Tell whether a path belongs to the Edge Network's protocol."""
        return is_edge_path(path)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request.

        A 2xx leaves only after the commit. Trouble on our side is a 503, never a 500: phones keep
        a hit that got a 503 and lose one that got a 500.
        """
        target = read_target(environ)
        reader = target.origin
        try:
            answer = self._answer(target, environ)
        except RefusedOriginError as error:
            answer, reader = _refused(error, target), None
        except EdgeError as error:
            answer = _refused(error, target)
        except StoreUnavailableError as error:
            _LOG.warning("edge_unavailable", request_id=target.request_id)
            answer = _try_later(target, error.retry_after_s)
        except Exception as error:  # noqa: BLE001 - see the docstring
            _LOG.error("edge_failed", request_id=target.request_id, **answers.place_of(error))
            answer = _try_later(target, answers.UNEXPECTED_RETRY_S)
        return answers.send(answer, start_response, target.request_id, cors_headers(reader))

    def _answer(self, target: EdgeTarget, environ: WSGIEnvironment) -> Answer:
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            return PREFLIGHT
        if method != "POST":
            raise errors.wrong_method()
        if target.action is None:
            raise errors.not_served()
        source = self._source(target)
        parsed = parse(target, source, self._body(environ), self._clock.now())
        envelope = self._envelope(parsed, source)
        if target.action == "collect":
            return _NO_CONTENT
        return Answer(200, render(envelope, parsed.framing))

    def _envelope(self, parsed: ParsedRequest, source: DatastreamSource) -> JsonObject:
        """Keep the request and return the answer's document.

        Without consent nothing is kept and no identity is given, for ``pending`` as for ``out``:
        there is no way yet to set a consent that would release the events.
        """
        incoming = parsed.incoming
        envelope: JsonObject = {"requestId": incoming.request_id, "handle": []}
        if source.default_consent != _GRANTED:
            envelope["warnings"] = [errors.consent_missing()]
            return envelope
        if incoming.events:
            kept = self._keep(incoming)
            if kept.refused_tokens:
                envelope["warnings"] = [
                    errors.token_not_taken(each) for each in kept.refused_tokens
                ]
        envelope["handle"] = handles(parsed, source.org_id, incoming.received_at)
        return envelope

    def _keep(self, incoming: IncomingRequest) -> Kept:
        try:
            return self._committer.submit(incoming)
        except RefusedDataError as error:
            raise errors.refused_data(error.detail) from error

    def _source(self, target: EdgeTarget) -> DatastreamSource:
        if not target.config_id:
            raise errors.missing_datastream()
        source = self._sources.datastream(target.config_id)
        if source is None:
            raise errors.unknown_datastream(target.config_id)
        if isinstance(source, Disabled):
            raise errors.disabled_datastream(target.config_id)
        if source.origins and target.origin is not None and target.origin not in source.origins:
            raise RefusedOriginError(target.origin)
        return source

    def _body(self, environ: WSGIEnvironment) -> bytes:
        try:
            return body.read(environ, self._max_body_bytes)
        except BodyError as error:
            raise errors.invalid_body(error) from error


def _refused(error: EdgeError, target: EdgeTarget) -> Answer:
    _LOG.info(
        "edge_refused",
        request_id=target.request_id,
        datastream=target.config_id[:64],
        code=error.code,
        status=error.status,
    )
    is_method = error.status == _METHOD_NOT_ALLOWED
    headers = (("Allow", "POST, OPTIONS"),) if is_method else ()
    return answers.problem(error.problem(target.request_id), headers)


def _try_later(target: EdgeTarget, retry_after_s: int) -> Answer:
    return answers.try_later(errors.unavailable().problem(target.request_id), retry_after_s)
