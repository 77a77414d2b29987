"""From a body's bytes to its document, and what it asks for in the way of answers."""

from typing import TypeVar

import msgspec

from service.core.json import decode as decode_json
from service.web.body import check_text, convert, decode, wrong_field
from service.web.edge.documents import EventDocument, QueryDocument, RequestDocument
from service.web.edge.framing import MOBILE, Framing
from service.web.edge.target import Action

D = TypeVar("D", bound=RequestDocument)
_ECID_ALONE = frozenset({"ECID"})
_NOTHING: frozenset[str] = frozenset()


def read_document(body: bytes, decoder: msgspec.json.Decoder[D]) -> tuple[D, Framing | None]:
    """Return a body's document, and how its client wants a success to be framed.

    Raises:
        BodyError: It is no JSON, a field has the wrong type, or holds what cannot be stored.
    """
    document = decode(body, decoder)
    framing = _framing(document)
    check_text(body, allowed_nuls=_separator_nuls(document))
    return document, framing


def fetched_namespaces(document: RequestDocument, action: str | None) -> frozenset[str]:
    """Return the namespaces whose identities are asked for.

    Roku's first request asks in an event that is nothing but a question. ``identity/acquire`` is
    a question for the ECID by itself.

    Raises:
        BodyError: An event's question has the wrong shape.
    """
    named = _fetch(document.query)
    if named is not None:
        return frozenset(named)
    for index, event in enumerate(document.events or ()):
        if not is_kept(event):
            named = _fetch(_question(bytes(event.query), f"$.events[{index}].query"))
            if named:
                return frozenset(named)
    return _ECID_ALONE if action == Action.ACQUIRE else _NOTHING


def is_kept(event: EventDocument) -> bool:
    """Tell whether an event says anything; one that only asks is not kept."""
    return event.xdm is not None or event.data is not None


def _question(raw: bytes, path: str) -> QueryDocument | None:
    if raw in {b"", b"null"}:
        return None
    try:
        return convert(decode_json(raw), QueryDocument, path)
    except msgspec.DecodeError as error:
        raise wrong_field(path, "is not valid JSON") from error


def _fetch(query: QueryDocument | None) -> list[str] | None:
    return query.identity.fetch if query and query.identity else None


def _framing(document: RequestDocument) -> Framing | None:
    konductor = document.meta.konductor_config if document.meta else None
    streaming = konductor.streaming if konductor else None
    if streaming is None or not streaming.enabled:
        return None
    separator, line_feed = streaming.record_separator, streaming.line_feed
    if separator in {None, "", MOBILE.record_separator} and line_feed in {None, "", "\n"}:
        return MOBILE
    return Framing(separator or MOBILE.record_separator, line_feed or MOBILE.line_feed)


def _separator_nuls(document: RequestDocument) -> int:
    konductor = document.meta.konductor_config if document.meta else None
    streaming = konductor.streaming if konductor else None
    if streaming is None:
        return 0
    return sum(
        (text or "").count("\0") for text in (streaming.record_separator, streaming.line_feed)
    )
