"""A request that may be kept, and how its client wants to be answered."""

from dataclasses import dataclass, field

from service.core.json import JsonObject
from service.identity.identity_map import ECID
from service.profiles.incoming import IncomingRequest
from service.web.edge.clients import ClientKind
from service.web.edge.documents import StateDocument
from service.web.edge.ecid import Device
from service.web.edge.framing import Framing

_NOBODY = Device()


@dataclass(frozen=True, slots=True)
class ConsentAnswer:
    """What the client of a ``set-consent`` is to be told.

    Attributes:
        general: ``in``, ``out`` or ``pending``: what a browser keeps in its consent cookie.
            ``None`` leaves the cookie alone.
        preferences: What a phone adds to the preferences it keeps.
    """

    general: str | None
    preferences: JsonObject = field(repr=False)


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request that may be kept, and how its client wants to be answered.

    Attributes:
        incoming: What to keep; without events and consents there is nothing to keep.
        framing: ``None`` for plain JSON.
        fetched: Namespaces whose identities the client asked for.
        places: Where in the body each event stands: those that only ask are not among them.
        warnings: What the answer must say beside its handles.
        state: What a browser says of the values that it keeps.
    """

    incoming: IncomingRequest = field(repr=False)
    framing: Framing | None
    client: ClientKind
    fetched: frozenset[str] = frozenset()
    device: Device = _NOBODY
    consent: ConsentAnswer | None = None
    places: tuple[int, ...] = ()
    warnings: tuple[JsonObject, ...] = ()
    state: StateDocument | None = None

    @property
    def wants_ecid(self) -> bool:
        """Whether the client asked for its ECID."""
        return ECID in self.fetched
