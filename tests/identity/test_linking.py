"""The linking rules give the same people for the same claims."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from service.identity.identity_map import AuthenticatedState, ClaimedIdentity
from service.identity.linking import (
    MAX_GRAPH_SIZE,
    Claim,
    NamespaceRule,
    Node,
    Order,
    apply,
    event_identity,
    overflow,
    resolve,
    statements,
)
from tests.support.builders import ecid, person, random_key
from tests.support.clocks import START

RULES = {
    "CRMID": NamespaceRule(1, is_person=True),
    "Email": NamespaceRule(2, is_person=True),
    "Phone": NamespaceRule(3, is_person=True),
    "GAID": NamespaceRule(8, is_person=False),
    "ECID": NamespaceRule(10, is_person=False),
}
SOURCE = random_key()
AUTHENTICATED = AuthenticatedState.AUTHENTICATED
PEOPLE = st.builds(
    ClaimedIdentity,
    st.sampled_from(["CRMID", "Email", "Phone"]),
    st.sampled_from(["1", "2", "3"]),
    st.sampled_from(list(AuthenticatedState)),
)
DEVICES = st.builds(ecid, st.integers(1, 3)) | st.builds(
    ClaimedIdentity,
    st.just("GAID"),
    st.sampled_from(["g1", "g2"]),
)
CLAIMS = st.lists(
    st.tuples(
        st.lists(PEOPLE | DEVICES, min_size=1, max_size=4),
        st.integers(0, 20),
        st.sampled_from(["absent", "loggedOut"]),
    ),
    max_size=12,
).map(
    lambda rows: [
        claim(*identities, at=at, event_id=f"{index:02d}", logout_on=logout_on)
        for index, (identities, at, logout_on) in enumerate(rows)
    ],
)


def claim(
    *identities: ClaimedIdentity,
    at: int = 0,
    event_id: str = "e",
    logout_on: str = "loggedOut",
) -> Claim:
    distinct = {each.key: each for each in identities}
    order = Order(START + timedelta(seconds=at), event_id)
    return Claim(tuple(distinct.values()), order, SOURCE, logout_on)


def graph_after(claims: Iterable[Claim]) -> dict[UUID, Node]:
    nodes: dict[UUID, Node] = {}
    for each in claims:
        for identity in each.identities:
            nodes.setdefault(identity.key, Node(identity.key, identity.namespace))
        for statement in statements(each, RULES):
            nodes[statement.child] = apply(nodes[statement.child], statement)
    return resolve(nodes.values(), RULES)


def profile(graph: dict[UUID, Node], identity: ClaimedIdentity) -> UUID | None:
    return graph[identity.key].profile


@given(CLAIMS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_change_the_people(
    claims: list[Claim], chance: object
) -> None:
    shuffled = list(claims)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    assert graph_after(shuffled) == graph_after(claims)


@given(CLAIMS)
def test_a_claim_that_comes_twice_changes_nothing(claims: list[Claim]) -> None:
    assert graph_after([*claims, *claims]) == graph_after(claims)


@given(CLAIMS)
def test_no_person_holds_two_identities_of_a_unique_namespace(claims: list[Claim]) -> None:
    people: dict[UUID | None, list[str]] = {}
    for node in graph_after(claims).values():
        if RULES[node.namespace].is_person:
            people.setdefault(node.profile, []).append(node.namespace)

    assert all(len(held) == len(set(held)) for held in people.values())


@given(CLAIMS)
def test_a_profile_is_named_by_an_identity_of_its_own_with_nothing_above_it(
    claims: list[Claim],
) -> None:
    graph = graph_after(claims)

    assert all(graph[node.profile].parent is None for node in graph.values() if node.profile)
    assert all(
        graph[node.profile].profile == node.profile for node in graph.values() if node.profile
    )


def test_the_last_authenticated_login_keeps_the_device() -> None:
    graph = graph_after(
        [
            claim(ecid(1), person("ada"), at=1),
            claim(ecid(1), person("bob"), at=3),
            claim(ecid(1), person("ada"), at=2),
        ],
    )

    assert profile(graph, ecid(1)) == person("bob").key
    assert profile(graph, person("ada")) == person("ada").key


def test_an_ambiguous_claim_links_only_a_device_without_a_person() -> None:
    guess = person("bob", AuthenticatedState.AMBIGUOUS)
    alone = graph_after([claim(ecid(1), guess, at=1)])
    taken = graph_after([claim(ecid(1), person("ada"), at=1), claim(ecid(1), guess, at=2)])

    assert profile(alone, ecid(1)) == guess.key
    assert profile(taken, ecid(1)) == person("ada").key


def test_in_one_millisecond_a_person_beats_nobody() -> None:
    announced = claim(ecid(1), event_id="z", logout_on="absent")
    login = claim(ecid(1), person("ada"), event_id="a", logout_on="absent")

    assert profile(graph_after([announced, login]), ecid(1)) == person("ada").key
    assert profile(graph_after([login, announced]), ecid(1)) == person("ada").key


def test_a_logged_out_identity_ends_the_link() -> None:
    left = person("ada", AuthenticatedState.LOGGED_OUT)
    graph = graph_after([claim(ecid(1), person("ada"), at=1), claim(ecid(1), left, at=2)])

    assert profile(graph, ecid(1)) == ecid(1).key
    assert graph[ecid(1).key].had_login


def test_an_event_without_the_person_is_a_logout_only_where_that_is_the_policy() -> None:
    login = claim(ecid(1), person("ada"), at=1)

    mobile = graph_after([login, claim(ecid(1), at=2, logout_on="absent")])
    web = graph_after([login, claim(ecid(1), at=2, logout_on="loggedOut")])

    assert profile(mobile, ecid(1)) == ecid(1).key
    assert profile(web, ecid(1)) == person("ada").key


def test_the_newest_of_two_emails_stays_with_the_person() -> None:
    old, new = person("old@x.test", namespace="Email"), person("new@x.test", namespace="Email")
    graph = graph_after([claim(person("ada"), new, at=2), claim(person("ada"), old, at=1)])

    assert profile(graph, new) == person("ada").key
    assert profile(graph, old) == old.key


def test_an_event_hangs_on_the_most_important_proven_person_else_on_its_device() -> None:
    guess = person("ada", AuthenticatedState.AMBIGUOUS)
    mail = person("a@x.test", namespace="Email")

    assert event_identity(claim(ecid(1), mail, guess), RULES) == mail
    assert event_identity(claim(ecid(1), guess), RULES) == ecid(1)
    assert event_identity(claim(ClaimedIdentity("Nobody", "1")), RULES) is None


def test_a_graph_over_the_limit_loses_its_oldest_devices_first() -> None:
    devices = [ecid(number) for number in range(1, MAX_GRAPH_SIZE + 3)]
    claims: Sequence[Claim] = [
        claim(device, person("ada"), at=number) for number, device in enumerate(devices)
    ]
    mail = claim(person("ada"), person("a@x.test", namespace="Email"), at=-5)

    dropped = overflow(graph_after([*claims, mail]), RULES)

    assert dropped == [device.key for device in devices[:4]]
