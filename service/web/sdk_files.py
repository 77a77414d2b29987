"""The files that the Mobile SDKs download, for everyone and under paths of Adobe's making.

An app names its file and nothing else: no token, no sandbox. No answer but the file itself is
JSON, because iOS takes any JSON object for a configuration, whatever the status.

Source: Mobile Core ``ConfigurationDownloader``, ``RulesDownloader`` and ``Cacheable`` (Android,
iOS); RFC 9110, section 13.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog

from service.core.errors import StoreUnavailableError
from service.flows.sdk_files import FileKind, SdkFile
from service.web.answers import UNEXPECTED_RETRY_S, place_of
from service.web.request_ids import request_id_of

FRESH_S = 60
_LOG = structlog.get_logger("service.web.sdk_files")
# hexadecimal parts and a name: any id that an app could be given by mistake, and no path of ours
_PATH = re.compile(
    r"/(?!openapi\.json\Z)(?P<configuration>(?:[0-9A-Fa-f]+/)*[^/]+)\.json"
    r"|/rules/(?P<rules>.+)\.zip",
    re.DOTALL,
)
_TAG = re.compile(r'(?:W/)?("[^"]*")')
_TYPES = {FileKind.CONFIGURATION: "application/json", FileKind.RULES: "application/zip"}
_KEPT_SHORTLY = f"public, max-age={FRESH_S}"
_TEXT = "text/plain; charset=utf-8"
_MOST_LOGGED = 128
_Headers = list[tuple[str, str]]


class Files(Protocol):
    """Where files are found."""

    def find(self, kind: FileKind, file_id: str) -> SdkFile | None:
        """Return a file, ``None`` when nothing has this name."""
        ...


class SdkFilesApplication:
    """Serves the files and hands every other path on."""

    def __init__(self, files: Files, otherwise: WSGIApplication) -> None:
        self._files = files
        self._otherwise = otherwise

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; trouble on our side is a 503, after which phones try again."""
        found = _PATH.fullmatch(environ.get("PATH_INFO", ""))
        if found is None:
            return self._otherwise(environ, start_response)
        request_id = request_id_of(environ.get("HTTP_X_REQUEST_ID"))
        kind = FileKind.RULES if found["rules"] else FileKind.CONFIGURATION
        try:
            status, headers, body = self._answer(environ, kind, found[kind])
        except StoreUnavailableError as error:
            _LOG.warning("sdk_file_unavailable", request_id=request_id)
            status, headers, body = _try_later(error.retry_after_s)
        except Exception as error:  # noqa: BLE001 - a JSON error page would be taken for a file
            _LOG.error("sdk_file_failed", request_id=request_id, **place_of(error))
            status, headers, body = _try_later(UNEXPECTED_RETRY_S)
        start_response(status, [("x-request-id", request_id), *headers])
        return (b"" if environ["REQUEST_METHOD"] == "HEAD" else body,)

    def _answer(
        self, environ: WSGIEnvironment, kind: FileKind, file_id: str
    ) -> tuple[str, _Headers, bytes]:
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return _text("405 Method Not Allowed", "Use GET or HEAD.", ("Allow", "GET, HEAD"))
        file = self._files.find(kind, file_id)
        if file is None:
            _LOG.info("sdk_file_unknown", kind=kind, file_id=file_id[:_MOST_LOGGED])
            return _text(
                "404 Not Found",
                f"No mobile property serves this {kind}: compare the app id with the appId that "
                "/mobile-properties shows for the environment.",
            )
        headers = [
            ("ETag", file.etag),
            ("Last-Modified", format_datetime(file.modified_at, usegmt=True)),
            ("Cache-Control", _KEPT_SHORTLY),
        ]
        if _is_held(environ, file):
            return "304 Not Modified", headers, b""
        headers += [("Content-Type", _TYPES[kind]), ("Content-Length", str(len(file.body)))]
        return "200 OK", headers, file.body


def _is_held(environ: WSGIEnvironment, file: SdkFile) -> bool:
    """Tell whether the phone has this very file.

    A tag decides alone where there is one. Both SDKs send an empty tag when they hold none, and
    Android the epoch as its date.
    """
    tags = environ.get("HTTP_IF_NONE_MATCH", "").strip()
    if tags:
        return tags == "*" or file.etag in _TAG.findall(tags)
    since = _moment(environ.get("HTTP_IF_MODIFIED_SINCE", ""))
    return since is not None and file.modified_at <= since


def _moment(text: str) -> datetime | None:
    """Return the moment that a header names; one that cannot be read counts as absent."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _try_later(seconds: int) -> tuple[str, _Headers, bytes]:
    return _text("503 Service Unavailable", "Try again.", ("Retry-After", str(seconds)))


def _text(status: str, detail: str, *headers: tuple[str, str]) -> tuple[str, _Headers, bytes]:
    body = f"{detail}\n".encode()
    described = [("Content-Type", _TEXT), ("Content-Length", str(len(body)))]
    return status, [*described, ("Cache-Control", "no-store"), *headers], body
