"""The addresses under which other machines reach this one, and whose theirs are."""

from __future__ import annotations

import functools
import ipaddress
import time

import ifaddr

__all__ = ["is_own_address", "own_addresses", "parse_address", "subscriber_of"]

LOOKED_AT_EVERY_S = 5.0
"""How long the addresses of the interfaces are kept: to ask for them takes most of a millisecond."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def own_addresses() -> list[str]:
    """IPv4 addresses of this machine's interfaces without loopback; those that routers pick themselves come last."""
    found = {ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)}
    addresses = sorted(map(ipaddress.IPv4Address, found), key=lambda a: (a.is_link_local, a))
    return [str(address) for address in addresses if not address.is_loopback]


def is_own_address(host: str, reached: str) -> bool:
    """Whether a host is an IP address of this machine.

    Args:
        host: as URLs have it, IPv6 in brackets.
        reached: the address of this machine that a request came to; mostly the one that it names.
    """
    address = parse_address(host.strip("[]"))
    if address is None:
        return False
    if address.is_loopback or address == parse_address(reached):
        return True
    return address in _of_interfaces(int(time.monotonic() / LOOKED_AT_EVERY_S))


@functools.lru_cache(1)
def _of_interfaces(_period: int) -> frozenset[Address | None]:
    found = (ip.ip if isinstance(ip.ip, str) else ip.ip[0] for each in ifaddr.get_adapters() for ip in each.ips)
    return frozenset(map(parse_address, found))


def parse_address(address: str) -> Address | None:
    """An IP address without its zone, IPv4 also where it is written as IPv6; None for what is none."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None) or parsed


def subscriber_of(address: str) -> str:
    """Whose an address is: of IPv4 the address itself, of IPv6 its network of 64 bits, of which one has all addresses.

    Empty for what is no address.
    """
    parsed = parse_address(address)
    if parsed is None:
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
