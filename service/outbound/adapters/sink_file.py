"""Files of rows, for third parties that fetch: in a folder of the operator's, or in a bucket.

A file is there whole or not at all, and a manifest beside it names it once it is. A bucket needs
boto3, which comes with the extra ``kinesis``.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from service.core.errors import InvalidInputError
from service.outbound.adapters import sink
from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.sink import FOLDER_URL, Bounds, SinkAdapter
from service.outbound.adapters.sink_kinesis import need_key, region_of
from service.outbound.auth import NoAuth
from service.outbound.template_names import Names
from service.outbound.transport import CallParts

FORMATS = ("ndjson", "csv")
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.=-]{0,99}"
_PATH = re.compile(rf"{_PART}(/{_PART}){{0,9}}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_MOST_COLUMNS = 200


class FileAdapter(SinkAdapter):
    """Files in a folder or a bucket; a row may be in two of them, with the same id."""

    name = "file"
    comes_again = True
    bounds = Bounds((2000, 2000), (16 << 20, 64 << 20), (256 << 10, 1 << 20), 10_000)
    own = {  # noqa: RUF012 - a constant of the class
        "folder": {
            "type": "string",
            "description": "Below EDGEPOST_SINK_FOLDER and the sandbox's name.",
        },
        "bucket": {"type": "string", "description": "Of S3, or of a store that speaks it."},
        "prefix": {"type": "string", "description": "The folder in the bucket; left out, none."},
        "region": {"type": "string", "description": "Left out, that of the key."},
        "endpoint": {"type": "string", "description": "Another address than the region's own."},
        "format": {"enum": list(FORMATS), "default": FORMATS[0]},
        "columns": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Of csv: fields of a row, in this order.",
        },
    }

    def target(self, action: ActionSpec) -> CallParts:
        """Return where files go, as limits are looked up by it."""
        settings = action.settings
        if "bucket" not in settings:
            folder = quote(str(settings.get("folder", "")))
            return CallParts("PUT", f"{FOLDER_URL}{folder}", (sink.JSON_TYPE,), b"")
        usual = f"https://s3.{region_of(action)}.amazonaws.com"
        endpoint = str(settings.get("endpoint", usual)).rstrip("/")
        prefix = str(settings.get("prefix", ""))
        path = "/".join(filter(None, (str(settings["bucket"]), prefix)))
        return CallParts("PUT", f"{endpoint}/{quote(path)}", (sink.JSON_TYPE,), b"")

    def check_own(self, action: ActionSpec, names: Names) -> None:  # noqa: ARG002 - nothing of the place varies with a row
        """Refuse what cannot be written.

        Raises:
            InvalidInputError: Folder, bucket, columns or authentication are wrong, or boto3 is
                missing.
        """
        settings = action.settings
        if ("bucket" in settings) == ("folder" in settings):
            raise InvalidInputError("Files go to a folder or to a bucket: name one.", at="settings")
        if "bucket" in settings:
            self._check_bucket(action)
        else:
            if not isinstance(action.auth, NoAuth):
                raise InvalidInputError("A folder authenticates nobody: use type none.", at="auth")
            _check_path(settings, "folder")
        _check_columns(settings)

    def _check_bucket(self, action: ActionSpec) -> None:
        need_key(self.name, action)
        settings = action.settings
        if not _BUCKET.fullmatch(sink.text_of(settings, "bucket")):
            raise InvalidInputError("bucket is not a bucket's name.", at="settings.bucket")
        if "prefix" in settings:
            _check_path(settings, "prefix")
        if "endpoint" in settings:
            sink.text_of(settings, "endpoint")
        sink.need_library(self.name, "boto3", "kinesis")


def _check_path(settings: Mapping[str, Any], name: str) -> None:
    if not _PATH.fullmatch(sink.text_of(settings, name)):
        raise InvalidInputError(
            f"{name} is a path of at most ten names of letters, digits, _ - = and dots, none of "
            "which begins with a dot.",
            at=f"settings.{name}",
        )


def _check_columns(settings: Mapping[str, Any]) -> None:
    is_csv = sink.check_choice(settings, "format", FORMATS) == "csv"
    columns = settings.get("columns")
    if not is_csv and columns is None:
        return
    found = columns if isinstance(columns, list) else []
    is_list = 1 <= len(found) <= _MOST_COLUMNS and all(isinstance(each, str) for each in found)
    if not is_csv or not is_list or "" in found:
        raise InvalidInputError(
            "The format csv needs columns, a list of a row's fields; ndjson has none.",
            at="settings.columns",
        )
