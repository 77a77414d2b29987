"""Both hot paths without a socket: fakes behind them, a checked WSGI call in front."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4
from wsgiref.types import WSGIApplication
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import msgspec
from hypothesis import strategies as st

from service.access.login_keys import PublicKey
from service.core.clock import Clock
from service.core.ids import derived_key, parse_key
from service.flows.login_proofs import LoginProofs
from service.flows.sources import DatastreamSource, Disabled, InletSource
from service.outbound.key_sets import KeysUnavailableError
from service.profiles.incoming import IncomingRequest, Kept, Part, Refusal
from service.sandboxes.scope import Scope
from service.settings import Settings
from tests.support.clocks import FixedClock

ORG = "972C898555E9F7BC7F000101@AdobeOrg"
PROD = Scope(1, "prod")
MOBILE_ID = derived_key("datastream", "wire:mobile")
WEB_ID = derived_key("datastream", "wire:web")
INLET_ID = derived_key("inlet", "wire")
WRONG_PLATFORM = Refusal(Part.TOKEN, "web", "tokenPlatformNotOnDatastream", 0)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class FakeCommitter:
    """Remembers what it was to keep; answers as told, one by one, then as if all was new."""

    def __init__(self, *outcomes: Kept | Exception) -> None:
        self.requests: list[IncomingRequest] = []
        self._outcomes = list(outcomes)

    def submit(self, request: IncomingRequest) -> Kept:
        """Take a request, or raise the outcome that was set for it."""
        outcome = self._outcomes.pop(0) if self._outcomes else Kept(stored=len(request.events))
        if isinstance(outcome, Exception):
            raise outcome
        self.requests.append(request)
        return outcome


class FakeSources:
    """A directory of given sources; ``error`` stands for a store that is away."""

    def __init__(self, *sources: DatastreamSource | InletSource | Disabled) -> None:
        self.error: Exception | None = None
        self._sources: dict[UUID, DatastreamSource | InletSource | Disabled] = {
            each.id: each for each in sources
        }

    def datastream(self, text: str) -> DatastreamSource | Disabled | None:
        """Return the datastream of this id."""
        found = self._find(text)
        return None if isinstance(found, InletSource) else found

    def inlet(self, text: str) -> InletSource | Disabled | None:
        """Return the inlet of this id."""
        found = self._find(text)
        return None if isinstance(found, DatastreamSource) else found

    def _find(self, text: str) -> DatastreamSource | InletSource | Disabled | None:
        if self.error is not None:
            raise self.error
        key = parse_key(text)
        return None if key is None else self._sources.get(key)


class NothingPublished:
    """Keys of login proofs where none can be had."""

    def find(self, url: str, kid: str | None, algorithm: str) -> PublicKey | None:
        """Have no key."""
        raise KeysUnavailableError(f"{url} is away and {kid} for {algorithm} with it")


@dataclass(frozen=True, slots=True)
class WireServices:
    """The collaborators of both applications."""

    sources: FakeSources
    committer: FakeCommitter = field(default_factory=FakeCommitter)
    clock: Clock = field(default_factory=FixedClock)
    settings: Settings = field(default_factory=lambda: Settings("sqlite://", ()))
    login_proofs: LoginProofs = field(default_factory=lambda: LoginProofs(NothingPublished()))


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()

    def json(self) -> Any:
        """Return the body as JSON; a framed one is none."""
        return msgspec.json.decode(self.body)


def datastream(platform: str = "mobile", **changes: Any) -> DatastreamSource:
    """Return a datastream as the directory knows it."""
    defaults: dict[str, Any] = {
        "scope": PROD,
        "id": MOBILE_ID if platform == "mobile" else WEB_ID,
        "platform": platform,
        "event_dataset_id": derived_key("events", platform),
        "profile_dataset_id": derived_key("profiles", platform),
        "org_id": ORG,
    }
    return DatastreamSource(**{**defaults, **changes})


def inlet(**changes: Any) -> InletSource:
    """Return an inlet as the directory knows it."""
    defaults: dict[str, Any] = {
        "scope": PROD,
        "id": INLET_ID,
        "platform": "inlet",
        "event_dataset_id": derived_key("events", "inlet"),
        "profile_dataset_id": derived_key("profiles", "inlet"),
        "org_id": ORG,
    }
    return InletSource(**{**defaults, **changes})


def call(
    application: WSGIApplication,
    path: str,
    body: bytes = b"",
    *,
    query: str = "",
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Call an application as a server does; the call itself is checked against PEP 3333."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
    }
    environ |= {_cgi_name(name): value for name, value in (headers or {}).items()}
    setup_testing_defaults(environ)
    started: list[tuple[str, dict[str, str], tuple[str, ...]]] = []

    def start_response(status: str, sent: list[tuple[str, str]], _: Any = None) -> Any:
        cookies = tuple(value for name, value in sent if name == "Set-Cookie")
        once = [(name.lower(), value) for name, value in sent if name != "Set-Cookie"]
        assert len(once) == len(dict(once)), "a header is sent twice"
        started.append((status, dict(once), cookies))
        return lambda _: None

    answer = validator(application)(environ, start_response)
    try:
        content = b"".join(answer)
    finally:
        answer.close()  # type: ignore[attr-defined]
    ((status, sent, cookies),) = started
    return Reply(int(status.split()[0]), sent, content, cookies)


def edge_query(datastream_id: UUID, request_id: str | None = None) -> str:
    """Return the query of an Edge URL."""
    return f"configId={datastream_id}&requestId={request_id or uuid4()}"


def _cgi_name(name: str) -> str:
    text = name.upper().replace("-", "_")
    return text if text == "CONTENT_TYPE" else f"HTTP_{text}"
