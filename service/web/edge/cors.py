"""Who may read an answer: browsers hide one without these headers, although it was kept.

Source: Fetch standard, CORS protocol; alloy ``sendFetchRequest`` (credentials are included, so the
origin is named and never ``*``).
"""

import re

from service.web.answers import Answer, Headers

_ORIGIN = re.compile(r"null|[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9.:_\[\]-]{1,260}")
_SHARED: Headers = (
    ("Access-Control-Allow-Credentials", "true"),
    ("Access-Control-Expose-Headers", "x-adobe-edge, Retry-After, x-request-id"),
    ("Vary", "Origin"),
)
PREFLIGHT = Answer(
    204,
    headers=(
        ("Access-Control-Allow-Methods", "POST, OPTIONS"),
        (
            "Access-Control-Allow-Headers",
            "content-type, x-request-id, x-adobe-aep-validation-token",
        ),
        ("Access-Control-Max-Age", "86400"),
    ),
)


def usable_origin(header: str | None) -> str | None:
    """Return the origin when it is one that may be repeated in a header."""
    return header if header and _ORIGIN.fullmatch(header) else None


def cors_headers(origin: str | None) -> Headers:
    """Return the headers that let a page of ``origin`` read the answer."""
    return () if origin is None else (("Access-Control-Allow-Origin", origin), *_SHARED)
