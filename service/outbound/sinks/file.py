"""Files of rows in a folder of the operator's, or in a bucket; each with a manifest beside it.

A file is written under a name that nobody reads, made durable and then renamed, and only then its
manifest the same way: whoever goes by manifests never sees half a file, whatever crashed. A file
without a manifest was not finished, and its rows are in another one.

Source: service/decisions/0029-sinks.md.
"""

import errno
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

from service.core import json
from service.core.json import JsonObject
from service.outbound.adapters.contract import ActionSpec
from service.outbound.sinks import file_rows
from service.outbound.sinks.contract import Carrier, SinkRow, alike
from service.outbound.sinks.file_rows import RowsFile
from service.outbound.transport import Reply, ReplyKind, Trouble

_STATUSES = {
    errno.ENOSPC: HTTPStatus.INSUFFICIENT_STORAGE,
    errno.EDQUOT: HTTPStatus.INSUFFICIENT_STORAGE,
    errno.EACCES: HTTPStatus.FORBIDDEN,
    errno.EPERM: HTTPStatus.FORBIDDEN,
    errno.EROFS: HTTPStatus.FORBIDDEN,
}
_NOT_STARTED = Reply(None, ReplyKind.NOT_SENT, trouble=Trouble.PERMIT_REFUSED)


class FolderSink:
    """One folder; ``root`` is the sandbox's own, ``None`` where the operator allows no files."""

    def __init__(self, action: ActionSpec, root: Path | None) -> None:
        settings = action.settings
        self._form = settings.get("format", "ndjson")
        self._columns = settings.get("columns", ())
        self._folder = None if root is None else root / settings["folder"]

    def put(self, rows: Sequence[SinkRow], carrier: Carrier) -> Sequence[Reply]:
        """Write one file of the rows; it is durable on return."""
        if self._folder is None:
            refused = Reply(None, ReplyKind.ANSWERED, int(HTTPStatus.NOT_FOUND))
            return alike(rows, replace(refused, body=_body({"code": "noFolder"})))
        if not carrier.may_start():
            return alike(rows, _NOT_STARTED)
        started_ns = time.monotonic_ns()
        made = file_rows.make(rows, self._form, self._columns)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write(self._folder, made)
            status, said = HTTPStatus.CREATED, {"file": made.name}
        except OSError as error:
            code = errno.errorcode.get(error.errno or 0, "EIO")
            status = _STATUSES.get(error.errno or 0, HTTPStatus.INTERNAL_SERVER_ERROR)
            said = {"code": code}
        reply = Reply(
            None,
            ReplyKind.ANSWERED,
            int(status),
            body=_body(said),
            started_ns=started_ns,
            ended_ns=time.monotonic_ns(),
        )
        return alike(rows, reply)


def write(folder: Path, made: RowsFile) -> None:
    """Write a file and then its manifest; both are durable on return.

    Raises:
        OSError: The manifest is not there; the file may be.
    """
    _write_whole(folder, made.name, made.content)
    _write_whole(folder, made.manifest_name, made.manifest)


def _write_whole(folder: Path, name: str, content: bytes) -> None:
    part = folder / f".{name}.part"
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(folder / name)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    entry = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)


def _body(said: JsonObject) -> bytes:
    return json.encode(said)
