"""Which addresses the service may call: judged on the connected address, never on a name alone.

A name is no proof, since it may resolve to something else a second later. The guard is asked with
each address a socket is about to connect to; what it says at save time is a courtesy to the
operator.

Source: IANA IPv4 and IPv6 special-purpose address registries; RFC 6052, 3056, 4380, 5214.
"""

import re
import socket
from collections.abc import Callable, Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias
from urllib.parse import urlsplit

from service.core.errors import InvalidInputError

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address
Resolver: TypeAlias = Callable[[str], Iterable[str]]
"""Returns the addresses of a host name; raises ``OSError`` when there are none."""

_MAX_URL_LENGTH = 2048
_NOT_PUBLIC: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(block), why)
    for block, why in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared address space"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),
        ("169.254.0.0/16", "link-local or cloud metadata"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("100::/64", "discard"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = IPv6Network("::/96")
_ISATAP_MARKS = (0x00005EFE, 0x02005EFE)
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_URL = re.compile(r"[!-~]+")


class AddressGuard:
    """Decides whether an address may be called.

    Refused is everything that is not public unicast, and every IPv6 form that carries an IPv4
    address in disguise. ``allow`` opens ranges by name: it opens ``127.0.0.0/8`` without opening
    ``64:ff9b::7f00:1``. An allowed disguise is still judged by the IPv4 address it carries.
    """

    def __init__(self, allow: Iterable[Network] = ()) -> None:
        self._allow = tuple(allow)

    @classmethod
    def of(cls, allow: str) -> "AddressGuard":
        """Build a guard from the operator's comma-separated networks.

        Raises:
            InvalidInputError: An entry is not a network.
        """
        entries = [entry.strip() for entry in allow.split(",") if entry.strip()]
        try:
            return cls(tuple(ip_network(entry) for entry in entries))
        except ValueError as error:
            raise InvalidInputError(
                f"The allowed private hosts are not networks: {error}"
            ) from error

    def refusal(self, address: str | Address) -> str | None:
        """Return why an address may not be called, in one or two words; ``None`` when it may."""
        if isinstance(address, str):
            try:
                address = ip_address(address)
            except ValueError:
                return "not an address"
        if isinstance(address, IPv4Address):
            return self._range_refusal(address)
        if address.ipv4_mapped is not None:
            return self._range_refusal(address.ipv4_mapped)
        form, carried = _disguised(address)
        if not form:
            return self._range_refusal(address)
        if not self._is_allowed(address):
            return form
        return next(filter(None, map(self._range_refusal, carried)), None)

    def _range_refusal(self, address: Address) -> str | None:
        if self._is_allowed(address):
            return None
        for block, why in _NOT_PUBLIC:
            if address.version == block.version and address in block:
                return why
        if isinstance(address, IPv6Address) and address not in _UNICAST:
            return "not public"
        return None if address.is_global and not address.is_multicast else "not public"

    def check_url(self, url: str, resolve: Resolver | None = None) -> None:
        """Refuse at save time what could never be called, or never safely.

        Args:
            url: What the operator wrote.
            resolve: Looks the host name up, as a courtesy: a name without an address passes,
                since it may get one, and is judged again at each connection.

        Raises:
            InvalidInputError: The scheme is not http or https, there are credentials, a fragment, a
                template, control or non-ASCII characters, no host, or the host is an address (in
                any of the spellings libc takes) that may not be called.
        """
        host = host_of(url)
        for address in _literal_addresses(host) or _resolved(host, resolve):
            why = self.refusal(address)
            if why is not None:
                raise InvalidInputError(
                    f"The URL's host {host} may not be called: {address} is refused ({why}). "
                    "The operator can allow networks, such as 10.1.0.0/16, in "
                    "EDGEPOST_ALLOW_PRIVATE_HOSTS.",
                    host=host,
                    reason=why,
                )

    def _is_allowed(self, address: Address) -> bool:
        return any(
            address.version == network.version and address in network for network in self._allow
        )


def host_of(url: str) -> str:
    """Return the host of a URL that is fit to be called.

    Raises:
        InvalidInputError: As ``AddressGuard.check_url``, without judging addresses.
    """
    if "{{" in url or "{%" in url:
        raise InvalidInputError(
            "The URL is static for now and cannot hold a template: put what varies into the "
            "payload or a header."
        )
    if len(url) > _MAX_URL_LENGTH or not _URL.fullmatch(url) or "\\" in url:
        raise InvalidInputError(
            f"The URL must be at most {_MAX_URL_LENGTH} printable ASCII characters without spaces "
            "or backslashes; write international names in their xn-- form.",
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInputError(f"The URL cannot be read: {error}.") from error
    if parts.scheme not in {"http", "https"}:
        raise InvalidInputError("The URL must start with http:// or https://.")
    if "@" in parts.netloc:
        raise InvalidInputError(
            "The URL must not hold credentials: use the action's authentication."
        )
    if "#" in url:
        raise InvalidInputError("The URL must not have a fragment.")
    if not host or port == 0 or not (":" in host or _HOST.fullmatch(host)):
        raise InvalidInputError("The URL has no valid host or port.")
    return host


def system_resolver(host: str) -> tuple[str, ...]:
    """Return the addresses of a name as the system sees them; blocks while it asks.

    Raises:
        OSError: The name has none.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def _resolved(host: str, resolve: Resolver | None) -> tuple[str, ...]:
    if resolve is None:
        return ()
    try:
        return tuple(resolve(host))
    except OSError:
        return ()


def _literal_addresses(host: str) -> tuple[Address, ...]:
    """Return the addresses that a host spells without any look-up."""
    name = host.rstrip(".").lower()
    if ":" in name:
        try:
            return (IPv6Address(name),)
        except ValueError as error:
            raise InvalidInputError(f"The URL's host [{host}] is not an address.") from error
    if name == "localhost" or name.endswith(".localhost"):
        return (IPv4Address("127.0.0.1"),)
    if not _NUMBER.fullmatch(name.rpartition(".")[2]):
        return ()
    try:
        return (IPv4Address(socket.inet_aton(name)),)
    except OSError as error:
        raise InvalidInputError(f"The URL's host {host} is not an address.") from error


def _disguised(address: IPv6Address) -> tuple[str, tuple[IPv4Address, ...]]:
    """Return the form in which an address carries IPv4 addresses, or none, and those addresses."""
    number = int(address)
    low = IPv4Address(number & 0xFFFFFFFF)
    # RFC 6052 leaves the local prefix's length open: with /96 the IPv4 address is in the last 32
    # bits, with /48 it lies around the zero octet of bits 64 to 71.
    around = IPv4Address((number >> 64 & 0xFFFF) << 16 | (number >> 40 & 0xFFFF))
    is_isatap = number >> 32 & 0xFFFFFFFF in _ISATAP_MARKS
    forms: tuple[tuple[bool, str, tuple[IPv4Address, ...]], ...] = (
        (address in _NAT64, "NAT64", (low,)),
        (address in _LOCAL_NAT64, "local NAT64", (low, around)),
        (address.sixtofour is not None, "6to4", (address.sixtofour or low,)),
        (address.teredo is not None, "Teredo", address.teredo or ()),
        (address in _COMPATIBLE and number > 1, "IPv4-compatible", (low,)),
        (is_isatap, "ISATAP", (low,)),
    )
    return next(((form, carried) for holds, form, carried in forms if holds), ("", ()))
