"""boto3 over the guarded transport: it writes, signs and reads, and never opens a connection.

Source: botocore, event ``before-send``: what a handler returns is taken for the answer.
"""

from collections.abc import Mapping
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.sink_kinesis import region_of
from service.outbound.auth_aws import AwsKeyAuth
from service.outbound.sinks.contract import Carrier
from service.outbound.transport import CallParts, Reply, ReplyKind

_OURS = frozenset({"connection", "content-length", "expect", "host", "transfer-encoding"})


class NotAnsweredError(Exception):
    """A call was not answered; ``reply`` says what is known of it."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply.trouble))
        self.reply = reply


class AwsCalls:
    """A client of one service whose calls go where ``carrier`` carries them; for one thread.

    Attributes:
        reply: How the last call ended; ``None`` if boto3 refused to make it.
    """

    def __init__(self, service: str, action: ActionSpec) -> None:
        assert isinstance(action.auth, AwsKeyAuth)  # noqa: S101 - the adapter's check saw to it
        self.client: Any = boto3.session.Session(
            aws_access_key_id=action.auth.access_key_id,
            aws_secret_access_key=action.auth.secret_access_key.reveal(),
            region_name=region_of(action),
        ).client(
            service,
            endpoint_url=action.settings.get("endpoint"),
            config=Config(
                retries={"total_max_attempts": 1},
                ignore_configured_endpoint_urls=True,
                inject_host_prefix=False,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"},
            ),
        )
        self.reply: Reply | None = None
        self._carrier: Carrier | None = None
        self._goes_on = False
        self.client.meta.events.register(f"before-send.{service}", self._send)

    def over(self, carrier: Carrier, *, goes_on: bool = False) -> Any:
        """Return the client; its next call goes over this carrier."""
        self._carrier, self._goes_on, self.reply = carrier, goes_on, None
        return self.client

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        assert self._carrier is not None  # noqa: S101 - nobody has the client without one
        headers = tuple(
            (name, _text(value))
            for name, value in request.headers.items()
            if name.lower() not in _OURS
        )
        request.reset_stream()  # signing may have read it
        parts = CallParts(request.method, request.url, headers, _body(request.body))
        reply = self.reply = self._carrier.call(parts, goes_on=self._goes_on)
        if reply.kind is not ReplyKind.ANSWERED:
            raise NotAnsweredError(reply)
        return AWSResponse(request.url, reply.status, _headers(reply), _Raw(reply.body))


class _Raw:
    """An answer's body as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> list[bytes]:
        """Return it in one piece."""
        return [self._body]


def error_code(error: Any) -> tuple[str, str]:
    """Return code and message of a ``ClientError``."""
    said: Mapping[str, Any] = error.response.get("Error", {})
    return str(said.get("Code", "")), str(said.get("Message", ""))


def _headers(reply: Reply) -> dict[str, str]:
    pairs = (line.decode("latin-1").partition(":") for line in reply.headers if b":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _body(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else bytes(body.read())
