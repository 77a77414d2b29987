"""PutRecords of Kinesis: each record has a verdict of its own, and only the failed go again.

Source: AWS, Kinesis API, PutRecords; service/decisions/0029-sinks.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from service.core import json
from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.sink_kinesis import PARTITION_KEY
from service.outbound.sinks.aws import AwsCalls, NotAnsweredError, error_code
from service.outbound.sinks.contract import Carrier, SinkRow, alike, split
from service.outbound.transport import Reply, ReplyKind, Trouble

_OF_ONE_RECORD = frozenset(
    {"InvalidArgumentException", "ValidationException", "SerializationException"}
)
_STATUSES = {"ProvisionedThroughputExceededException": HTTPStatus.TOO_MANY_REQUESTS}


class KinesisSink:
    """One stream."""

    def __init__(self, action: ActionSpec) -> None:
        self._calls = AwsCalls("kinesis", action)
        stream = str(action.settings["stream"])
        self._stream = {"StreamARN" if stream.startswith("arn:") else "StreamName": stream}

    def put(self, rows: Sequence[SinkRow], carrier: Carrier) -> Sequence[Reply]:
        """Put the rows as records and return what became of each."""
        records = [{"Data": row.document, "PartitionKey": row.mark(PARTITION_KEY)} for row in rows]
        client = self._calls.over(carrier)
        try:
            answer = client.put_records(**self._stream, Records=records)
        except NotAnsweredError as error:
            return alike(rows, error.reply)
        except ClientError as error:
            code, message = error_code(error)
            reply = _said(self._answered(), {"ErrorCode": code, "ErrorMessage": message})
            return (split if code in _OF_ONE_RECORD else alike)(rows, reply)
        except BotoCoreError:
            if self._calls.reply is None:
                return alike(rows, Reply(None, ReplyKind.NOT_SENT, trouble=Trouble.MALFORMED))
            return alike(rows, replace(self._answered(), kind=ReplyKind.UNKNOWN))
        return self._verdicts(rows, answer.get("Records"))

    def _verdicts(self, rows: Sequence[SinkRow], records: Any) -> list[Reply]:
        """Return each record's verdict; they stand in the order of the request."""
        reply = self._answered()
        if not isinstance(records, list) or len(records) != len(rows):
            return alike(rows, replace(reply, kind=ReplyKind.UNKNOWN))
        return [_verdict(row, record, reply) for row, record in zip(rows, records, strict=True)]

    def _answered(self) -> Reply:
        assert self._calls.reply is not None  # noqa: S101 - boto3 has read its answer
        return self._calls.reply


def _verdict(row: SinkRow, record: Mapping[str, Any], reply: Reply) -> Reply:
    """Return what became of a record; a refused one is given the status that means the same."""
    shard, number = record.get("ShardId"), record.get("SequenceNumber")
    if shard and number:
        kept = {"ShardId": shard, "SequenceNumber": number, "messageId": f"{shard}:{number}"}
        return replace(_said(reply, kept), key=row.key)
    code = str(record.get("ErrorCode") or "")
    status = int(_STATUSES.get(code, HTTPStatus.INTERNAL_SERVER_ERROR))
    said = {"ErrorCode": code, "ErrorMessage": record.get("ErrorMessage")}
    return replace(_said(reply, said), key=row.key, status=status)


def _said(reply: Reply, said: Mapping[str, Any]) -> Reply:
    return replace(reply, body=json.encode(said))
