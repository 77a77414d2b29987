"""The rest of the identity API: removal, the advertising id, and links that carry the ECID.

Source: EdgeIdentity (Android 3.x, iOS 5.x)
(https://developer.adobe.com/client-sdks/edge/identity-for-edge-network/api-reference/).
"""

from dataclasses import replace
from datetime import datetime

from mobile_stub import consents, links
from mobile_stub.device import AuthenticatedState, Device, Hit, Identity, Kind

_ADVERTISING = {Kind.ANDROID: "GAID", Kind.IOS: "IDFA"}
_NOBODY = "00000000-0000-0000-0000-000000000000"


def remove(device: Device, namespace: str, identity_id: str) -> Device:
    """Remove one item (``Identity.removeIdentity``); no request, later events lack it."""
    kept = tuple(
        item for item in device.identities if (item.namespace, item.id) != (namespace, identity_id)
    )
    return replace(device, identities=kept)


def set_advertising_identifier(
    device: Device, value: str, now: datetime
) -> tuple[Device, Hit | None]:
    """Tell the advertising id (``MobileCore.setAdvertisingIdentifier``); empty or zeros end it.

    With the Consent extension a change of whether there is one is a consent to ``adID``, too.

    Source: EdgeIdentity ``IdentityState.updateAdvertisingIdentifier``.
    """
    namespace = _ADVERTISING[device.kind]
    ended = value in {"", _NOBODY}
    had_one = any(item.namespace == namespace for item in device.identities)
    kept = tuple(item for item in device.identities if item.namespace != namespace)
    if not ended:
        kept += (Identity(namespace, value, AuthenticatedState.AMBIGUOUS),)
    device = replace(device, identities=kept)
    if ended is not had_one:
        return device, None
    said = {"adID": {"val": "n" if ended else "y", "idType": namespace}}
    return consents.update(device, said, now)


def url_variables(device: Device, org_id: str, now: datetime) -> str:
    """Return what a link into a web view carries (``Identity.getUrlVariables``)."""
    return links.url_variables(device.ecid, org_id, now)
