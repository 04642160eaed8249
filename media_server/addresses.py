"""The addresses under which other machines reach this one, and whose theirs are."""

from __future__ import annotations

import ipaddress

import ifaddr

__all__ = ["own_addresses", "subscriber_of"]


def own_addresses() -> list[str]:
    """IPv4 addresses of this machine's interfaces without loopback; those that routers pick themselves come last."""
    found = {ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)}
    addresses = sorted(map(ipaddress.IPv4Address, found), key=lambda a: (a.is_link_local, a))
    return [str(address) for address in addresses if not address.is_loopback]


def subscriber_of(address: str) -> str:
    """Whose an address is: of IPv4 the address itself, of IPv6 its network of 64 bits, of which one has all addresses.

    Empty for what is no address.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
