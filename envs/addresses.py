"""Which network addresses are the public internet's, and not this machine's or its neighbours'."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import psutil

TRANSLATED = IPv6Network("64:ff9b::/96")
"""IPv4 addresses as IPv6 networks write them (RFC 6052)."""


def is_public(address: str) -> bool:
    """Whether this is an address of the public internet.

    None are loopback, private, link-local, shared, unspecified and reserved addresses, the same
    written as IPv6, groups of machines, and what this machine itself is reached by. Neither is
    anything that is no address.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in TRANSLATED:
            inner = IPv4Address(int(found) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
        if found.is_site_local:
            return False
    return (
        found.is_global
        and not found.is_multicast
        and not found.is_reserved
        and str(found) not in _own()
    )


def _own() -> set[str]:
    """Addresses of this machine's network interfaces."""
    return {one.address for card in psutil.net_if_addrs().values() for one in card}
