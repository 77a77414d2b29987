"""Named stories, as data: who the people are, which phone each holds, what each does on the web."""

from dataclasses import dataclass
from typing import Any

from mobile_stub.device import Device, Kind, Platform, new_device, new_token, random_for
from mobile_stub.page import PAGE_VIEW

APP_ID = "com.example.shop"
CART_ADD = "commerce.productListAdds"
_PEOPLE = (
    ("Ada", "Lindqvist", "SE"),
    ("Bruno", "Costa", "PT"),
    ("Chiara", "Rossi", "IT"),
    ("Dmitri", "Ivanov", "BG"),
    ("Elif", "Öztürk", "TR"),
    ("Farid", "Haddad", "FR"),
    ("Greta", "Vogel", "DE"),
    ("Hana", "Nováková", "CZ"),
    ("Idris", "Okafor", "NG"),
    ("Julia", "Kowalska", "PL"),
    ("Kenji", "Sato", "JP"),
    ("Lucía", "Fernández", "ES"),
    ("Mateo", "García", "MX"),
    ("Nora", "Byrne", "IE"),
    ("Oskar", "Nieminen", "FI"),
    ("Priya", "Sharma", "IN"),
    ("Quentin", "Dubois", "BE"),
    ("Rania", "Mansour", "EG"),
    ("Søren", "Jensen", "DK"),
    ("Théa", "Keller", "CH"),
)


@dataclass(frozen=True, slots=True)
class Visit:
    """One event on the web; ``logged_in`` says whether the page knows the person by then."""

    event_type: str
    path: str
    xdm: dict[str, Any]
    logged_in: bool


@dataclass(frozen=True, slots=True)
class Person:
    """One person of a story. ``token`` is what the provider gives ``device`` at installation."""

    crm_id: str
    first_name: str
    last_name: str
    country: str
    email: str
    device: Device
    token: str
    visits: tuple[Visit, ...]


def twenty_people(seed: int | str) -> tuple[Person, ...]:
    """Return twenty people, ten with an Android phone (FCM) and ten with an iPhone (APNs).

    The same seed gives the same people, ids and tokens. Each browses anonymously, logs in, looks
    at a product and puts it into the cart. The iPhones' messages go to the generic push API.
    """
    return tuple(_person(seed, place) for place in range(len(_PEOPLE)))


def profile_record(person: Person) -> dict[str, Any]:
    """Return the person as an XDM Individual Profile record, as a CRM exports it.

    Source: https://github.com/adobe/xdm, schemas ``profile``, ``profile-person-details`` and
    ``profile-personal-details``.
    """
    identity = {"id": person.crm_id, "authenticatedState": "authenticated", "primary": True}
    return {
        "_id": person.crm_id,
        "identityMap": {"CRMID": [identity]},
        "person": {"name": {"firstName": person.first_name, "lastName": person.last_name}},
        "personalEmail": {"address": person.email},
        "homeAddress": {"countryCode": person.country},
        "testProfile": True,
    }


def _person(seed: int | str, place: int) -> Person:
    first_name, last_name, country = _PEOPLE[place]
    on_android = place % 2 == 0
    kind = Kind.ANDROID if on_android else Kind.IOS
    platform = Platform.FCM if on_android else Platform.APNS
    crm_id = f"C-{10_001 + place}"
    device = new_device(kind, APP_ID, platform, f"{seed}/{crm_id}")
    return Person(
        crm_id=crm_id,
        first_name=first_name,
        last_name=last_name,
        country=country,
        email=f"{crm_id.lower()}@example.com",
        device=device,
        token=new_token(platform, random_for(device.seed, "token")),
        visits=_visits(f"SKU-{100 + place}"),
    )


def _visits(sku: str) -> tuple[Visit, ...]:
    product = [{"SKU": sku, "quantity": 1, "priceTotal": 59.9, "currencyCode": "EUR"}]
    return (
        Visit(PAGE_VIEW, "/", {}, logged_in=False),
        Visit(PAGE_VIEW, "/account", {}, logged_in=True),
        Visit(
            CART_ADD,
            f"/products/{sku}",
            {"commerce": {"productListAdds": {"value": 1}}, "productListItems": product},
            logged_in=True,
        ),
    )
