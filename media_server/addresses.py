"""The addresses under which other machines reach this one."""

from __future__ import annotations

import ipaddress

import ifaddr

__all__ = ["own_addresses"]


def own_addresses() -> list[str]:
    """IPv4 addresses of this machine's interfaces without loopback; those that routers pick themselves come last."""
    found = {ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)}
    addresses = sorted(map(ipaddress.IPv4Address, found), key=lambda a: (a.is_link_local, a))
    return [str(address) for address in addresses if not address.is_loopback]
