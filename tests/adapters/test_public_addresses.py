"""Requests to addresses from a configuration reach the public internet only."""

from __future__ import annotations

import ipaddress
import socket

import aiohttp
import pytest
from aiohttp import web
from aiohttp.resolver import ThreadedResolver
from aiohttp.test_utils import TestServer

from adapters.agents.base import CannotStart
from adapters.agents.public_addresses import is_public, public_session, reject_internal_url

INTERNAL = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"),
    *("::/128", "::1/128", "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64"),
    *("100:0:0:1::/64", "2001::/32", "2001:2::/48", "2001:10::/28", "2001:20::/28", "2001:db8::/32", "2002::/16"),
    *("3ffe::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "4000::/3", "e000::/4"),
]


@pytest.mark.parametrize("network", INTERNAL)
def test_no_address_of_an_internal_range_is_public(network: str) -> None:
    addresses = ipaddress.ip_network(network)
    middle = addresses[addresses.num_addresses // 2]
    assert not any(is_public(str(address)) for address in (addresses[0], middle, addresses[-1]))


@pytest.mark.parametrize(
    "address",
    [
        *("::ffff:140.82.121.4", "::140.82.121.4", "2002:8c52:7904::1", "64:ff9b::8c52:7904"),  # carry a public one
        *("2a00:1450::5efe:a00:1", "2a00:1450::200:5efe:a00:1", "fe80::1%eth0", "2001:0:7f00:1::", "::ffff:7f00:1"),
    ],
)
def test_an_address_that_carries_another_one_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("140.82.121.4", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.0.1"),
        *("172.32.0.1", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:50c0:8000::153", "2a00:1450:4001::1"),
    ],
)
def test_an_address_beside_the_internal_ranges_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        *("https://127.1/", "https://0x7F.1/", "https://0X7f000001/", "https://017700000001", "https://2130706433"),
        *("https://127.0.0.1.", "https://[::ffff:127.0.0.1]", "https://[::ffff:7f00:1]:8443/x", "https://[::1%25lo]"),
        *(
            "https://%31%32%37.0.0.1/",
            "https://127%2e0.0.1/",
            "https://\uff11\uff12\uff17.0.0.1/",
            "https://\u24dbocalhost/",
        ),
        *("https://public.example\\@127.0.0.1/", "https://user@127.0.0.1/", "https://LocalHost", "https:///x"),
        *("https://a.localhost.", "https://0/", "https://127.0.0.1:443#@public.example", "https://[64:ff9b::a00:1]"),
        *("https://169.254.169.254/", "https://[fd00:ec2::254]/", "https://a b/"),
    ],
)
def test_an_internal_address_in_any_notation_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(CannotStart, match="internal address"):
        reject_internal_url(url)


@pytest.mark.parametrize("url", ["https://agents.example.com/v1", "https://x-1.co.:8443/?a=b", "https://140.82.121.4/"])
def test_a_public_address_is_accepted(url: str) -> None:
    reject_internal_url(url)


async def test_what_is_connected_to_is_checked_however_it_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """By number, by a name that resolves to it, and by a name that resolved to a public address a moment before."""
    asked: list[str] = []

    async def reached(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    application = web.Application()
    application.router.add_get("/{any}", reached)
    answers = iter([["127.0.0.1"], ["::1", "127.0.0.1"], ["10.0.0.1", "127.0.0.1"]])

    async def resolve(_: object, host: str, port: int, family: socket.AddressFamily) -> list[dict[str, object]]:
        common = {"hostname": host, "port": port, "proto": 0, "flags": 0, "family": socket.AF_INET}
        return [{**common, "host": address} for address in next(answers)]

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)
    async with TestServer(application) as server, aiohttp.ClientSession() as base:
        async with base.get(f"http://127.0.0.1:{server.port}/control"):
            pass
        for host in ("127.0.0.1", "rebound.example", "rebound.example", "rebound.example"):
            async with public_session(base) as http:
                with pytest.raises(aiohttp.ClientConnectorError):
                    await http.get(f"http://{host}:{server.port}/internal")
    assert asked == ["/control"]
