"""What a file of rows holds, and the manifest that says so."""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from service.core import json
from service.core.ids import new_key
from service.outbound.sinks.contract import SinkRow


@dataclass(frozen=True, slots=True)
class RowsFile:
    """A file that is still to be written, and its manifest."""

    name: str
    content: bytes = field(repr=False)
    manifest: bytes = field(repr=False)

    @property
    def manifest_name(self) -> str:
        """What the manifest is called."""
        return f"{self.name}.manifest.json"


def make(rows: Sequence[SinkRow], form: str, columns: Sequence[str]) -> RowsFile:
    """Return a file of rows under a name that no other has; names sort by time."""
    key = new_key()
    made_at = datetime.fromtimestamp((key.int >> 80) / 1000, UTC)  # RFC 9562, 5.7
    name = f"{made_at:%Y%m%dT%H%M%SZ}-{key.hex}.{form}"
    documents = [row.document for row in rows]
    content = _csv(documents, columns) if form == "csv" else b"\n".join(documents) + b"\n"
    manifest = {
        "name": name,
        "format": form,
        "rows": len(rows),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "firstId": rows[0].delivery_id,
        "lastId": rows[-1].delivery_id,
        "madeAt": made_at.isoformat(),
    }
    return RowsFile(name, content, json.encode(manifest))


def _csv(documents: Sequence[bytes], columns: Sequence[str]) -> bytes:
    """Return the rows with a head; what is no text, number or truth value is written as JSON.

    Source: RFC 4180.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for document in documents:
        row = json.decode(document)
        writer.writerow([_cell(row.get(name)) for name in columns])
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    return json.encode_text(value)
