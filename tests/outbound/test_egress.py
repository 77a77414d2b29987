from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import InvalidInputError
from service.outbound.egress import AddressGuard

REFUSED = [
    ("0.1.2.3", "unspecified"),
    ("10.1.2.3", "private"),
    ("100.100.100.200", "shared address space"),
    ("127.0.0.1", "loopback"),
    ("168.63.129.16", "cloud metadata"),
    ("169.254.169.254", "link-local or cloud metadata"),
    ("172.31.255.255", "private"),
    ("192.0.0.192", "reserved"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "6to4 relay"),
    ("192.168.1.1", "private"),
    ("198.18.0.1", "benchmarking"),
    ("224.0.0.1", "multicast"),
    ("255.255.255.255", "reserved"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::127.0.0.1", "IPv4-compatible"),
    ("::8.8.8.8", "IPv4-compatible"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:169.254.169.254", "link-local or cloud metadata"),
    ("64:ff9b::7f00:1", "NAT64"),
    ("64:ff9b::808:808", "NAT64"),
    ("64:ff9b:1::7f00:1", "local NAT64"),
    ("2002:7f00:1::", "6to4"),
    ("2001:0:7f00:1::1", "Teredo"),
    ("2001:db8::1", "documentation"),
    ("2a00::5efe:7f00:1", "ISATAP"),
    ("fc00::1", "private"),
    ("fd00:ec2::254", "private"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("fec0::1", "site-local"),
    ("ff02::1", "multicast"),
    ("100::1", "discard"),
    ("4000::1", "not public"),
    ("/run/some.sock", "not an address"),
    ("", "not an address"),
]
PUBLIC = ["8.8.8.8", "142.250.74.202", "::ffff:8.8.8.8", "2a00:1450:4001:82a::200a", "2606:4700::1"]


@pytest.mark.parametrize(("address", "why"), REFUSED)
def test_what_is_not_public_is_refused_and_named(address: str, why: str) -> None:
    assert AddressGuard().refusal(address) == why


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    assert AddressGuard().refusal(address) is None


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_as_the_one_it_carries(address: IPv4Address) -> None:
    guard = AddressGuard.of("10.0.0.0/8")

    assert guard.refusal(f"::ffff:{address}") == guard.refusal(address)


@given(st.ip_addresses(v=4))
def test_a_disguise_is_never_better_than_what_it_hides(hidden: IPv4Address) -> None:
    forms = ("64:ff9b::/96", "64:ff9b:1::/96", "::/96")
    guard = AddressGuard(tuple(ip_network(form) for form in forms if form != "::/96"))

    for form in forms[:2]:
        base = int(ip_network(form).network_address)
        disguised = IPv6Address(base + int(hidden))

        assert (guard.refusal(disguised) is None) <= (guard.refusal(hidden) is None)


def test_an_allowed_network_opens_itself_and_no_disguise_of_it() -> None:
    guard = AddressGuard.of("127.0.0.0/8, ::1/128")

    assert [guard.refusal(a) for a in ("127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1")] == [
        None
    ] * 4
    assert guard.refusal("64:ff9b::7f00:1") == "NAT64"
    assert guard.refusal("::127.0.0.1") == "IPv4-compatible"
    assert guard.refusal("10.0.0.1") == "private"


def test_an_allowed_disguise_is_judged_by_what_it_carries() -> None:
    guard = AddressGuard.of("64:ff9b::/96")

    assert guard.refusal("64:ff9b::808:808") is None
    assert guard.refusal("64:ff9b::7f00:1") == "loopback"


def test_a_malformed_allow_list_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="not networks"):
        AddressGuard.of("127.0.0.0/8,localhost")


@pytest.mark.parametrize(
    "url",
    [
        "https://fcm.googleapis.com/v1/projects/p/messages:send",
        "http://api.example.com:8080/push?x=1",
        "https://8.8.8.8/",
        "https://xn--bcher-kva.example/",
        "https://[2606:4700::1]/x",
    ],
)
def test_a_sound_url_passes(url: str) -> None:
    AddressGuard().check_url(url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://example.com/", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("example.com/push", "http:// or https://"),
        ("https://user:pw@example.com/", "credentials"),
        ("https://example.com@127.0.0.1/", "credentials"),
        ("https://example.com/#x", "fragment"),
        ("https://example.com/#", "fragment"),
        ("https://example.com/{{profile.id}}", "static for now"),
        ("https://example.com/{{ profile.id }}", "static for now"),
        ("https://{% if x %}a{% endif %}.example/", "static for now"),
        ("https://exa mple.com/", "printable"),
        ("https://example.com/\r\nHost: x", "printable"),
        ("https://example.com/\x00", "printable"),
        ("https://bücher.example/", "printable"),
        ("https://example.com\\@127.0.0.1/", "printable"),
        ("https:///path", "host or port"),
        ("https://example.com:0/", "host or port"),
        ("https://example.com:99999/", "cannot be read"),
        ("https://exam_ple!.com/", "host or port"),
        ("https://" + "a" * 2100, "at most"),
        ("http://127.0.0.1/", "loopback"),
        ("http://127.1/", "loopback"),
        ("http://2130706433/", "loopback"),
        ("http://0x7f000001/", "loopback"),
        ("http://0x7f.0.0.1/", "loopback"),
        ("http://0177.0.0.1/", "loopback"),
        ("http://127.0.0.1./", "loopback"),
        ("http://localhost/", "loopback"),
        ("http://a.localhost./", "loopback"),
        ("http://[::1]/", "loopback"),
        ("http://[::ffff:7f00:1]/", "loopback"),
        ("http://[64:ff9b::7f00:1]/", "NAT64"),
        ("http://[::127.0.0.1]/", "IPv4-compatible"),
        ("http://169.254.169.254/latest/meta-data", "metadata"),
        ("http://1.2.3.4.5/", "not an address"),
        ("http://256.256.256.256/", "not an address"),
        ("http://[fe80::1%25eth0]/", "link-local"),
    ],
)
def test_an_unsound_url_is_refused_when_it_is_saved(url: str, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        AddressGuard().check_url(url)


def test_a_name_that_resolves_to_a_refused_address_is_refused_when_it_is_saved() -> None:
    with pytest.raises(InvalidInputError, match="loopback"):
        AddressGuard().check_url("http://inside.example/", lambda _: ("8.8.8.8", "127.0.0.1"))


def test_a_refused_host_names_the_variable_that_would_allow_it() -> None:
    with pytest.raises(InvalidInputError, match="EDGEPOST_ALLOW_PRIVATE_HOSTS"):
        AddressGuard().check_url("http://10.1.2.3/push")


def test_a_name_without_an_address_yet_may_be_saved() -> None:
    def unknown(_: str) -> tuple[str, ...]:
        raise OSError("no such name")

    AddressGuard().check_url("http://later.example/", unknown)


def test_the_operator_may_allow_a_private_host() -> None:
    AddressGuard.of("127.0.0.0/8").check_url("http://127.0.0.1:9999/push")
