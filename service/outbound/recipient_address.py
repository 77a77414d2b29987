"""The address of a person at a vendor that is sent no push token: a phone number, an e-mail, an id.

It is a template over what a message knows, so that any field of the profile, the event or the
journey's parameters can be an address. Who has none is passed over, which is no failure.
"""

import re

from service.core.json import JsonObject
from service.outbound.templating import TemplateError, render_text

LONGEST = 512


class NoAddressError(TemplateError):
    """The person cannot be reached this way; ``reason`` is ``noAddress`` or ``addressMalformed``.

    ``fields`` has the template; the address itself is never shown.
    """

    def __init__(self, reason: str, template: str) -> None:
        super().__init__(f"The person has no usable address: {reason}.", address=template)
        self.reason = reason


def render_address(
    template: str, values: JsonObject, *, pattern: re.Pattern[str] | None, ignored: str = ""
) -> str:
    """Return the address of a message's recipient.

    Args:
        template: What makes the address.
        values: What templates may name.
        pattern: What the whole address must look like.
        ignored: Characters that people write into addresses and vendors do not want.

    Raises:
        NoAddressError: Something that the template names is not there, or the result is empty, too
            long or not what the pattern asks for.
    """
    try:
        written = render_text(template, values).strip()
    except TemplateError as error:
        raise NoAddressError("noAddress", template) from error
    address = written.translate({ord(character): None for character in ignored})
    if not address:
        raise NoAddressError("noAddress", template)
    if len(address) > LONGEST or not address.isprintable():
        raise NoAddressError("addressMalformed", template)
    if pattern is not None and not pattern.fullmatch(address):
        raise NoAddressError("addressMalformed", template)
    return address
