"""Addresses of servers, and the token that guards them."""

from __future__ import annotations

import ipaddress

TOKEN_VARIABLE = "VIDEOJUDGE_TOKEN"


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
