"""Identity namespaces as the Identity Service spells them, with priority and uniqueness."""

from typing import Any

from marshmallow import fields, post_load, validate

from service.identity.models import IdentityNamespace
from service.identity.namespaces import IdType, NamespaceChanges, NewNamespace, is_standard
from service.web.payloads.base import Choice, Flag, Payload, Whole, name_field

_PRIORITIES = validate.Range(1, 1000)


class NamespaceSchema(Payload):
    """A kind of identifier."""

    code = fields.String(
        required=True,
        validate=validate.Regexp(
            r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z",
            error=(
                "Expected 1 to 64 letters, digits, dots, hyphens and underscores, a letter or "
                "digit first: `LoyaltyId`."
            ),
        ),
    )
    name = name_field(256, required=True)
    id_type = Choice(IdType, required=True, data_key="idType")
    priority = Whole(
        validate=_PRIORITIES,
        metadata={"description": "1 is the most important; no device may outrank a person."},
    )
    is_unique = Flag(
        data_key="unique",
        metadata={"description": "Whether a graph holds at most one identity of it."},
    )
    status = fields.Constant("ACTIVE", dump_only=True)
    custom = fields.Method("tell_custom", dump_only=True, metadata={"type": "boolean"})
    created_at = fields.AwareDateTime(dump_only=True, data_key="createdAt")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> NewNamespace:
        """Return the namespace to create."""
        return NewNamespace(**values)

    def tell_custom(self, row: IdentityNamespace) -> bool:
        """Tell whether the sandbox added it."""
        return not is_standard(row)


class NamespaceChangesSchema(Payload):
    """What to change; a key that is left out leaves its value as it is."""

    name = name_field(256)
    priority = Whole(validate=_PRIORITIES)

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> NamespaceChanges:
        """Return the changes."""
        return NamespaceChanges(**values)
