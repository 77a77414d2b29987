"""Files of rows in a bucket of S3, or of a store that speaks it; an object is whole by itself.

The file is put first and then its manifest, under the permit of the file.

Source: AWS, S3 API, PutObject; service/decisions/0029-sinks.md.
"""

from collections.abc import Sequence
from dataclasses import replace

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from service.core import json
from service.outbound.adapters.contract import ActionSpec
from service.outbound.sinks import file_rows
from service.outbound.sinks.aws import AwsCalls, NotAnsweredError, error_code
from service.outbound.sinks.contract import Carrier, SinkRow, alike
from service.outbound.transport import Reply, ReplyKind, Trouble

_TYPES = {"ndjson": "application/x-ndjson", "csv": "text/csv", "json": "application/json"}


class BucketSink:
    """One bucket, or a folder in it."""

    def __init__(self, action: ActionSpec) -> None:
        settings = action.settings
        self._calls = AwsCalls("s3", action)
        self._bucket = settings["bucket"]
        self._prefix = f"{settings['prefix']}/" if "prefix" in settings else ""
        self._form = settings.get("format", "ndjson")
        self._columns = settings.get("columns", ())

    def put(self, rows: Sequence[SinkRow], carrier: Carrier) -> Sequence[Reply]:
        """Put one file of the rows, and its manifest."""
        made = file_rows.make(rows, self._form, self._columns)
        first = self._put(made.name, made.content, carrier)
        if first.kind is not ReplyKind.ANSWERED or not _is_ok(first):
            return alike(rows, first)
        second = self._put(made.manifest_name, made.manifest, carrier, goes_on=True)
        if second.kind is ReplyKind.ANSWERED and _is_ok(second):
            second = replace(second, body=json.encode({"file": self._prefix + made.name}))
        return alike(rows, replace(second, started_ns=first.started_ns))

    def _put(self, name: str, content: bytes, carrier: Carrier, *, goes_on: bool = False) -> Reply:
        client = self._calls.over(carrier, goes_on=goes_on)
        key, kind = self._prefix + name, _TYPES[name.rpartition(".")[2]]
        try:
            client.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType=kind)
        except NotAnsweredError as error:
            return error.reply
        except ClientError as error:
            code, _ = error_code(error)
            assert self._calls.reply is not None  # noqa: S101 - boto3 has read its answer
            return replace(self._calls.reply, body=json.encode({"code": code}))
        except BotoCoreError:
            reply = self._calls.reply
            if reply is None:
                return Reply(None, ReplyKind.NOT_SENT, trouble=Trouble.MALFORMED)
            return replace(reply, kind=ReplyKind.UNKNOWN)
        assert self._calls.reply is not None  # noqa: S101 - as above
        return self._calls.reply


def _is_ok(reply: Reply) -> bool:
    return reply.status // 100 == 2  # noqa: PLR2004 - 2xx
