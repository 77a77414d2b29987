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
from service.core.json import JsonObject, encode
from service.flows.login_proofs import LoginProofs
from service.flows.sources import DatastreamSource, Disabled
from service.identity.identity_map import ECID
from service.profiles.incoming import IncomingRequest, Kept
from service.settings import Settings
from service.web import answers, body
from service.web.answers import Answer, Headers
from service.web.body import BodyError
from service.web.edge import bearer, errors
from service.web.edge.bearer import TokenReader
from service.web.edge.cors import PREFLIGHT, cors_headers
from service.web.edge.errors import EdgeError, RefusedOriginError, TooManyRequestsError
from service.web.edge.first_party import cookie_domain, set_cookies
from service.web.edge.framing import render
from service.web.edge.handles import CORE, handles, kept_values
from service.web.edge.login_proofs import judged
from service.web.edge.parsed import ParsedRequest
from service.web.edge.protocol import parse
from service.web.edge.rate_limit import RateLimit
from service.web.edge.refusals import refusal_warning
from service.web.edge.target import Action, EdgeTarget, is_edge_path, read_target

_LOG = structlog.get_logger("service.web.edge")
_NO_CONTENT = Answer(204)
_HEADERS: dict[int, Headers] = {
    401: (("WWW-Authenticate", "Bearer"),),
    405: (("Allow", "POST, OPTIONS"),),
}
_SMILE = "application/x-jackson-smile"
_ECID_GIVEN = frozenset({ECID})
_ALL_GIVEN = frozenset({ECID, CORE})
_PLAIN = frozenset({"", "identity"})
_MOST_WARNINGS = 20
_MOST_LOGGED = 128


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
    def login_proofs(self) -> LoginProofs:
        """Which logins are proved."""
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
        """How large a body may be, and how many processes share the requests."""
        ...


class EdgeApplication:
    """Answers the SDKs and the servers that speak for them, under any base path and hint."""

    def __init__(self, services: EdgeServices, read_token: TokenReader = bearer.nobody) -> None:
        self._sources = services.sources
        self._login_proofs = services.login_proofs
        self._committer = services.committer
        self._clock = services.clock
        self._max_body_bytes = services.settings.max_body_bytes
        self._read_token = read_token
        self._limit = RateLimit(services.clock, services.settings.web_concurrency)

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
        except TooManyRequestsError as error:
            answer = answers.try_later(error.problem(target.request_id), error.retry_after_s)
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
            path = environ.get("PATH_INFO", "")
            _LOG.info("edge_path_not_served", path=path[:_MOST_LOGGED])
            raise errors.not_served()
        source = self._source(target)
        bearer.admit(target, source, environ, self._read_token)
        self._limit.admit(source)
        content = self._body(environ)
        said = parse(target, source, content, self._clock.now())
        parsed = judged(said, source, self._login_proofs)
        return _spoken(target, parsed, *self._kept(target, parsed, source))

    def _kept(
        self, target: EdgeTarget, parsed: ParsedRequest, source: DatastreamSource
    ) -> tuple[JsonObject, Headers]:
        """Keep the request and return the answer's document and the cookies that it sets.

        A request of which nothing was kept for lack of consent is given no identity either.
        """
        incoming = parsed.incoming
        envelope: JsonObject = {"requestId": incoming.request_id, "handle": []}
        kept = Kept()
        if incoming.events or incoming.consents:
            kept = self._keep(incoming)
        if kept.nameless_consents:
            raise errors.invalid_identity()
        warnings = _warnings(parsed, kept, source)
        if warnings:
            envelope["warnings"] = warnings
        ignored = frozenset(kept.without_consent)
        if ignored and len(ignored) == len(incoming.events):
            return envelope, ()
        values = kept_values(parsed, source, incoming.received_at)
        envelope["handle"] = handles(parsed, source, values, ignored)
        domain = cookie_domain(target, parsed.state) if values else None
        return envelope, set_cookies(values, domain) if domain else ()

    def _keep(self, incoming: IncomingRequest) -> Kept:
        try:
            return self._committer.submit(incoming)
        except RefusedDataError as error:
            raise errors.unprocessable([error.detail]) from error

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
        if environ.get("CONTENT_TYPE", "").startswith(_SMILE):
            raise errors.unsupported_type()
        encoding = environ.get("HTTP_CONTENT_ENCODING", "")
        if encoding not in _PLAIN:
            raise errors.unsupported_encoding(encoding)
        try:
            return body.read(environ, self._max_body_bytes)
        except BodyError as error:
            raise errors.invalid_body(error) from error


def _warnings(parsed: ParsedRequest, kept: Kept, source: DatastreamSource) -> list[JsonObject]:
    given = _ALL_GIVEN if source.settings.third_party_ids else _ECID_GIVEN
    asked = [] if parsed.fetched <= given else sorted(parsed.fetched - given)[:_MOST_WARNINGS]
    if not (asked or parsed.warnings or kept.refusals or kept.without_consent):
        return []
    return [
        *parsed.warnings,
        *(errors.consent_missing(parsed.places[each]) for each in kept.without_consent),
        *(refusal_warning(each, parsed, source) for each in kept.refusals),
        *(errors.identity_not_given(each) for each in asked),
    ]


def _spoken(
    target: EdgeTarget, parsed: ParsedRequest, envelope: JsonObject, cookies: Headers
) -> Answer:
    """Return the answer in the form that its action has."""
    if target.action != Action.COLLECT:
        return Answer(200, render(envelope, parsed.framing), headers=cookies)
    if not target.is_server or target.is_silent:
        return _NO_CONTENT
    return Answer(202, encode({"requestId": target.request_id}))


def _refused(error: EdgeError, target: EdgeTarget) -> Answer:
    _LOG.info(
        "edge_refused",
        request_id=target.request_id,
        datastream=target.config_id[:64],
        code=error.code,
        status=error.status,
    )
    return answers.problem(error.problem(target.request_id), _HEADERS.get(error.status, ()))


def _try_later(target: EdgeTarget, retry_after_s: int) -> Answer:
    return answers.try_later(errors.unavailable().problem(target.request_id), retry_after_s)
