"""What a vendor's file says: its words, its shape as msgspec checks it, and whether it holds.

A file that names what it does not define is refused when it is read, which is at the start.
"""

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any, Literal, TypeAlias

import msgspec

from service.core.errors import EdgepostError
from service.outbound.channels import Channel

_SHAPE = {"frozen": True, "forbid_unknown_fields": True}
_PLACE = re.compile(r"\{(\w+)\}")
_OWN = frozenset({"$address", "$delivery.id", "$delivery.uuid3", "$ttl", "$expiresAt"})
TTL_SETTING = "ttlS"
ADDRESS_SETTING = "address"
CHANNEL_SETTING = "channel"

Plain: TypeAlias = str | int | bool


class VendorDocumentError(EdgepostError):
    """A vendor's file contradicts itself; nothing can be sent with it."""


class Setting(msgspec.Struct, **_SHAPE):
    """One setting of an action, in the words of JSON Schema.

    Attributes:
        required: Whether an action must have it.
        echo: For an address of ours: the delivery's id is added to its query under this name.
    """

    description: str
    type: Literal["string", "integer", "boolean"] = "string"
    required: bool = False
    default: Plain | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()
    format: Literal["uri"] | None = None
    minimum: int | None = None
    maximum: int | None = None
    echo: str | None = None


class Auth(msgspec.Struct, **_SHAPE):
    """One way to prove who sends.

    Attributes:
        name: The header that an API key travels in.
        prefix: What the value of an API key begins with.
        setting: What an action must have besides.
    """

    type: Literal["basic", "apiKey"]
    name: str = ""
    prefix: str = ""
    setting: str | None = None


class AddressRule(msgspec.Struct, **_SHAPE):
    """Where the address is found unless an action says otherwise, and what it looks like."""

    template: str
    description: str
    pattern: str | None = None
    ignored: str = ""


class Ttl(msgspec.Struct, **_SHAPE):
    """How long the vendor can be asked to hold a message, in seconds."""

    min_s: int
    max_s: int


class Limit(msgspec.Struct, **_SHAPE):
    """What the vendor takes at most ``at`` a path of the body; an empty path is the whole body."""

    at: str = ""
    characters: int | None = None
    bytes: int | None = None
    items: int | None = None


class Variants(msgspec.Struct, **_SHAPE):
    """Parts of the body, one of which is sent: that of the setting's value."""

    setting: str
    bodies: dict[str, dict[str, Any]]


class VendorDocument(msgspec.Struct, **_SHAPE):
    """A vendor as data; ``vendor.py`` says how each part is used.

    Attributes:
        page: The vendor's own description.
        url: ``{name}`` stands for a setting, encoded as one segment; ``{endpoint}`` begins it.
        channels: What people must allow; the first is taken unless the setting ``channel`` says.
        auth: The authentications that fit.
        body: What the vendor is sent whatever the action's payload says.
        variants: A part of the body that a setting chooses.
        defaults: What is sent where the payload says nothing.
        parts: What is added to an object of the payload, by its path, where the payload has one.
        headers: Besides the content type.
        needs: For each group of the payload's fields, one that must be there.
        one_of: For each group of settings, one that must be there.
        platforms: Of the push tokens that it is sent; none when it has an address.
    """

    page: str
    url: str
    channels: tuple[Channel, ...]
    auth: tuple[Auth, ...]
    settings: dict[str, Setting]
    body: dict[str, Any]
    method: Literal["POST", "PUT"] = "POST"
    encoding: Literal["json", "form"] = "json"
    variants: Variants | None = None
    defaults: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    headers: dict[str, str] = {}
    address: AddressRule | None = None
    platforms: tuple[str, ...] = ()
    ttl: Ttl | None = None
    needs: tuple[tuple[str, ...], ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    limits: tuple[Limit, ...] = ()

    @property
    def known_settings(self) -> Mapping[str, Setting]:
        """Every setting that an action may have, those included that the file only implies."""
        implied: dict[str, Setting] = {}
        if self.address is not None:
            implied[ADDRESS_SETTING] = Setting(
                f"{self.address.description} A template; left out, `{self.address.template}`."
            )
        if len(self.channels) > 1:
            implied[CHANNEL_SETTING] = Setting(
                f"What the message is, for the consent asked; left out, `{self.channels[0]}`.",
                enum=tuple(self.channels),
                default=str(self.channels[0]),
            )
        if self.ttl is not None:
            implied[TTL_SETTING] = Setting(
                "How long the vendor may hold a message, in seconds; left out, until it expires.",
                type="integer",
                minimum=self.ttl.min_s,
                maximum=self.ttl.max_s,
            )
        return {**implied, **self.settings}


def load_documents() -> dict[str, VendorDocument]:
    """Return the vendors that come with the service by name, each checked.

    Raises:
        VendorDocumentError: A file cannot be used.
    """
    folder = resources.files("service.outbound.adapters").joinpath("vendors")
    return {
        each.name.removesuffix(".json"): read_document(each.name, each.read_bytes())
        for each in sorted(folder.iterdir(), key=lambda each: each.name)
        if each.name.endswith(".json")
    }


def read_document(name: str, text: bytes) -> VendorDocument:
    """Return what a vendor's file says.

    Raises:
        VendorDocumentError: It is malformed, or names what it does not define.
    """
    try:
        document = msgspec.json.decode(text, type=VendorDocument)
        for pattern in _patterns(document):
            re.compile(pattern)
    except (msgspec.DecodeError, re.error) as error:
        raise VendorDocumentError(f"The vendor {name} is malformed: {error}") from error
    for problem in _problems(document):
        raise VendorDocumentError(f"The vendor {name} {problem}.")
    return document


def _patterns(document: VendorDocument) -> Iterator[str]:
    yield from (each.pattern for each in document.settings.values() if each.pattern)
    if document.address is not None and document.address.pattern:
        yield document.address.pattern


def _problems(document: VendorDocument) -> Iterator[str]:
    settings = document.known_settings
    if not document.channels or not document.auth:
        yield "has no channel or no authentication"
    if bool(document.platforms) == (document.address is not None):
        yield "needs either platforms of push tokens or an address"
    if not document.url.startswith(("https://", "{endpoint}/")):
        yield "has a URL that begins neither with https:// nor with {endpoint}/"
    for place in _PLACE.findall(document.url):
        if place not in settings or not _is_always_there(settings[place]):
            yield f"has {place} in its URL, which is no setting that is always there"
    groups = (*document.one_of, tuple(each.setting for each in document.auth if each.setting))
    for group in groups:
        yield from (f"asks for the setting {each}" for each in group if each not in settings)
    variants = document.variants
    if variants is not None:
        chosen = settings.get(variants.setting)
        if chosen is None or chosen.default is None or set(chosen.enum) != set(variants.bodies):
            yield f"has variants that are not those of the setting {variants.setting}"
    for name in _references(
        [
            document.body,
            document.headers,
            document.defaults,
            document.parts,
            variants.bodies if variants else {},
        ]
    ):
        yield from _reference_problems(name, document, settings)


def _is_always_there(setting: Setting) -> bool:
    return setting.required or setting.default is not None


def _reference_problems(
    name: str, document: VendorDocument, settings: Mapping[str, Setting]
) -> Iterator[str]:
    root, _, rest = name.partition(".")
    is_known = (
        name in _OWN
        or (root == "$settings" and rest in settings)
        or (root == "$payload" and rest != "")
    )
    if not is_known:
        yield f"speaks of {name}, which there is not"
    if name == "$ttl" and document.ttl is None:
        yield "speaks of $ttl and says not what it may be"


def _references(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        if tree.startswith("$"):
            yield tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _references(key)
            yield from _references(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _references(value)
