"""Lets requests reach public addresses only, so that a configuration cannot make the bot call internal services.

The address that is connected to is the one that was checked, whatever its notation and whatever a name resolved to
before.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from adapters.agents.base import CannotStart

# IANA's registries of special-purpose addresses, and multicast. Python's `is_global` has most of them, but not the same
# ones in each version, and calls some of them global that lead to other addresses (6to4 relays, translators).
_INTERNAL_IPV4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, with the metadata services of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_PUBLIC_IPV6: Final = ipaddress.IPv6Network("2000::/3")  # all that IANA has assigned; translators are elsewhere
_INTERNAL_IPV6: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which carries an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # the former 6bone
        "3fff::/20",  # documentation
    )
)
_ISATAP: Final = (0x00005EFE, 0x02005EFE)  # in the middle of an IPv6 address that carries one of IPv4
# What getaddrinfo takes for a number, as in `127.1`, `2130706433` and `0x7f000001`, is no name to be looked up.
_NUMERIC_HOST: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.ASCII | re.IGNORECASE)
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?", re.ASCII | re.IGNORECASE)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet. Raises ValueError if it is none."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if not ip.is_global or ip.is_multicast or ip.is_reserved:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _INTERNAL_IPV4)
    carries_ipv4 = int(ip) >> 32 & 0xFFFFFFFF in _ISATAP
    return ip in _PUBLIC_IPV6 and not carries_ipv4 and not any(ip in network for network in _INTERNAL_IPV6)


def reject_internal_url(url: str) -> None:
    """Raise `CannotStart` for an address by number that is not public; names are checked when they are looked up.

    The host is the one that aiohttp connects to, because it reads addresses in the same way.
    """
    try:
        host = (URL(url).raw_host or "").lower()
    except ValueError:
        host = ""
    try:
        is_external = is_public(host)
    except ValueError:
        name = host.removesuffix(".")
        is_local = name == "localhost" or name.endswith(".localhost")
        is_external = bool(_NAME.fullmatch(host)) and not is_local and not _NUMERIC_HOST.fullmatch(host)
    if not is_external or not url.isascii():
        raise CannotStart(
            "Its `url` is an internal address, and the bot sends work only to public ones. The operator of the "
            "bot can allow it with ALLOW_INTERNAL_AGENT_URLS=true."
        )


class PublicResolver(AbstractResolver):
    """Looks names up and keeps the public addresses. What is connected to is what was checked."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The public addresses of a name; OSError if there are none."""
        results = [result for result in await self._resolver.resolve(host, port, family) if is_public(result["host"])]
        if not results:
            raise OSError("the name resolves to no public address")
        return results

    async def close(self) -> None:
        """Nothing is kept open."""
        await self._resolver.close()


def public_socket(address_info: tuple[Any, ...]) -> socket.socket:
    """A socket for an address that is about to be connected to. Raises OSError if it is not public."""
    family, kind, protocol, _, address = address_info
    if not is_public(str(address[0])):
        raise OSError("the address is not public")
    return socket.socket(family, kind, protocol)


@asynccontextmanager
async def public_session(base_session: aiohttp.ClientSession) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the same timeouts that reaches public addresses only; for one call, because names may move."""
    connector = aiohttp.TCPConnector(resolver=PublicResolver(), use_dns_cache=False, socket_factory=public_socket)
    async with aiohttp.ClientSession(connector=connector, timeout=base_session.timeout) as session:
        yield session
