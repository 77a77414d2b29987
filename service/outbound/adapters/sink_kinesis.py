"""Amazon Kinesis Data Streams: a row is a record's data.

Needs boto3, which comes with the extra ``kinesis``.

Source: AWS, Kinesis API, PutRecords.
"""

import re

from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound.adapters import sink
from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.sink import Bounds, SinkAdapter
from service.outbound.auth_aws import REGION, AwsKeyAuth
from service.outbound.template_names import Names
from service.outbound.templating import TemplateError, render_text
from service.outbound.transport import CallParts, Headers

PARTITION_KEY = "Partition-Key"
_LONGEST_KEY = 256
_SPREAD = "{{ delivery.id }}"
_STREAM = re.compile(r"[\w.-]{1,128}|arn:[\w-]+:kinesis:[a-z0-9-]+:\d+:stream/[\w.-]{1,128}")


class KinesisAdapter(SinkAdapter):
    """A stream of Kinesis."""

    name = "kinesis"
    bounds = Bounds((500, 500), (5 << 20, 10 << 20), (1 << 20, 10 << 20), 200)
    templates = frozenset({"partitionKey"})
    own = {  # noqa: RUF012 - a constant of the class
        "stream": {"type": "string", "description": "The stream's name or ARN."},
        "region": {"type": "string", "description": "Left out, that of the key."},
        "partitionKey": {
            "type": "string",
            "default": _SPREAD,
            "description": "A template; rows of one key keep together. The default spreads them.",
        },
        "endpoint": {"type": "string", "description": "Another address than the region's own."},
    }

    def target(self, action: ActionSpec) -> CallParts:
        """Return the call that rows go with."""
        region = region_of(action)
        usual = f"https://kinesis.{region}.{_suffix(region)}"
        url = str(action.settings.get("endpoint", usual)).rstrip("/")
        return CallParts("POST", f"{url}/", (sink.JSON_TYPE,), b"")

    def marks(self, action: ActionSpec, values: JsonObject) -> Headers:
        """Return the partition key.

        Raises:
            TemplateError: It is empty or too long.
        """
        key = render_text(action.settings.get("partitionKey", _SPREAD), values)
        if not 1 <= len(key) <= _LONGEST_KEY:
            raise TemplateError(f"A partition key has 1 to {_LONGEST_KEY} characters.")
        return ((PARTITION_KEY, key),)

    def check_own(self, action: ActionSpec, names: Names) -> None:  # noqa: ARG002 - templates are checked by name
        """Refuse what cannot be called.

        Raises:
            InvalidInputError: Stream, region or authentication is wrong, or boto3 is missing.
        """
        need_key(self.name, action)
        if not _STREAM.fullmatch(sink.text_of(action.settings, "stream")):
            raise InvalidInputError("stream is a name or an ARN.", at="settings.stream")
        if "endpoint" in action.settings:
            sink.text_of(action.settings, "endpoint")
        sink.need_library(self.name, "boto3", "kinesis")


def need_key(adapter: str, action: ActionSpec) -> None:
    """Refuse an action without a key of AWS, or with one that is good for no region.

    Raises:
        InvalidInputError: It is so.
    """
    if not isinstance(action.auth, AwsKeyAuth):
        raise InvalidInputError(f"The adapter {adapter} authenticates with an awsKey.", at="auth")
    if not REGION.fullmatch(region_of(action)):
        raise InvalidInputError(
            "region must be a region's name, such as eu-central-1, here or in auth.",
            at="settings.region",
        )


def region_of(action: ActionSpec) -> str:
    """Return the region that is called, empty when none is named."""
    own = action.auth.region if isinstance(action.auth, AwsKeyAuth) else None
    return str(action.settings.get("region", own or ""))


def _suffix(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
