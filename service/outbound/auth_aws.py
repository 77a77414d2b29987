"""A key of Amazon Web Services, or of a store that takes the same signatures.

Each request is signed with it (Signature Version 4); the key itself never travels. It is the
action's own: what the process's environment or its machine could offer is never used.

Source: AWS, Signature Version 4 for API requests.
"""

import re
from dataclasses import dataclass

from service.core.secret import Secret
from service.outbound.auth_fields import Fields

_KEY_ID = re.compile(r"[\w-]{3,128}", re.ASCII)
REGION = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class AwsKeyAuth:
    """An access key; ``region`` is where it is used unless the action names another."""

    access_key_id: str
    secret_access_key: Secret
    region: str | None = None


def read(fields: Fields) -> AwsKeyAuth:
    """Return what an author wrote: ``accessKeyId``, ``secretAccessKey`` and perhaps ``region``.

    Raises:
        InvalidInputError: A field is missing or cannot be what it is named.
    """
    fields.only("type", "accessKeyId", "secretAccessKey", "region")
    key_id, region = fields.text("accessKeyId"), fields.optional("region")
    if not _KEY_ID.fullmatch(key_id):
        raise fields.wrong("accessKeyId", "must be 3 to 128 letters, digits, - and _")
    if region is not None and not REGION.fullmatch(region):
        raise fields.wrong("region", "must be a region's name, such as eu-central-1")
    secret = fields.secret("secretAccessKey")
    if not secret.reveal().isprintable():
        raise fields.wrong("secretAccessKey", "holds control characters")
    return AwsKeyAuth(key_id, secret, region)
