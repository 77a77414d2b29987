from collections import Counter

from mobile_stub.device import Kind, Platform
from mobile_stub.scenarios import profile_record, twenty_people


def test_twenty_people_hold_ten_phones_of_each_kind_and_each_push_way() -> None:
    people = twenty_people(1)

    ways = Counter((person.device.kind, person.device.platform) for person in people)

    assert ways == {(Kind.ANDROID, Platform.FCM): 10, (Kind.IOS, Platform.APNS): 10}


def test_nobody_shares_an_id_a_token_or_an_address() -> None:
    people = twenty_people(1)

    unique = [
        len({person.crm_id for person in people}),
        len({person.device.ecid for person in people}),
        len({person.token for person in people}),
        len({person.email for person in people}),
    ]

    assert unique == [20, 20, 20, 20]


def test_the_same_seed_tells_the_same_story_and_another_seed_another() -> None:
    first, again, other = twenty_people(1), twenty_people(1), twenty_people(2)

    assert first == again
    assert {person.token for person in first}.isdisjoint(person.token for person in other)


def test_each_person_browses_before_logging_in() -> None:
    for person in twenty_people(1):
        logged_in = [visit.logged_in for visit in person.visits]

        assert logged_in == sorted(logged_in)
        assert {False, True} == set(logged_in)


def test_a_profile_record_names_the_person_as_xdm_does() -> None:
    (ada, *_) = twenty_people(1)

    record = profile_record(ada)

    assert record["identityMap"]["CRMID"][0]["id"] == "C-10001"
    assert record["person"]["name"] == {"firstName": "Ada", "lastName": "Lindqvist"}
    assert record["homeAddress"]["countryCode"] == "SE"
