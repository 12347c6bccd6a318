"""Reads that cost less: equal ones at once are one, and what has not changed is not sent again."""

from __future__ import annotations

import asyncio

from aiohttp import web

from adapters.github.read_cache import _MAX_ENTRY_BYTES, MAX_CACHE_BYTES, CacheEntry, ResponseCache
from tests.adapters.github_server import INSTALLATION, github_server, issue, respond_in_turn


async def test_what_has_not_changed_is_not_sent_again() -> None:
    async with github_server() as (server, client):
        seen = client.installation(INSTALLATION)
        server.handler = respond_in_turn(
            (200, issue(), {"ETag": '"a"'}), (304, None, {}), (200, issue(2), {"ETag": '"b"'})
        )
        first, again, changed = [await seen.get_issue("acme/shop", 1) for _ in range(3)]
        assert (first, changed.number) == (again, 2)
        assert first is not again, "no caller gets an object that another may change"
        sent = [asked.headers.get("If-None-Match") for asked in server.api_requests]
        assert sent == [None, '"a"', '"a"']
        assert server.cache_hits == ["unchanged"]
        server.handler = respond_in_turn((304, None, {}))
        assert (await seen.get_issue("acme/shop", 1)).number == 2
        assert server.api_requests[-1].headers["If-None-Match"] == '"b"'


async def test_cached_reads_are_not_shared_between_installations() -> None:
    async with github_server() as (server, client):
        server.handler = respond_in_turn((200, issue(), {"ETag": '"a"'}))
        await client.installation(INSTALLATION).get_issue("acme/shop", 1)

        async def other(request: web.Request) -> web.Response:
            if request.path.endswith("/access_tokens"):
                return server.new_token()
            assert "If-None-Match" not in request.headers
            return web.json_response(issue(3))

        server.handler = other
        assert (await client.installation(8).get_issue("acme/shop", 1)).number == 3


async def test_equal_reads_at_once_are_one() -> None:
    async with github_server() as (server, client):
        server.handler = respond_in_turn((200, issue(), {}), (200, issue(2), {}))
        read = client.installation(INSTALLATION).get_issue
        found = await asyncio.gather(*(read("acme/shop", 1) for _ in range(5)), read("acme/shop", 2))
        assert [one.number for one in found] == [1, 1, 1, 1, 1, 2]
        assert len(server.api_requests) == 2
        assert server.cache_hits == ["shared"] * 4


async def test_who_asks_while_one_is_on_its_way_gets_a_later_answer() -> None:
    async with github_server() as (server, client):
        arrived, may_go = asyncio.Event(), asyncio.Event()
        state = 1

        async def slow(_: web.Request) -> web.Response:
            answer = web.json_response(issue(state))
            arrived.set()
            await may_go.wait()
            return answer

        server.handler = slow
        read = client.installation(INSTALLATION).get_issue
        first = asyncio.create_task(read("acme/shop", 1))
        await arrived.wait()
        state = 2  # the state changed; a caller notified of it reads now
        later = [asyncio.create_task(read("acme/shop", 1)) for _ in range(3)]
        await asyncio.sleep(0)
        may_go.set()
        assert (await first).number == 1
        assert [(await one).number for one in later] == [2, 2, 2]
        assert len(server.api_requests) == 2


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    async with github_server() as (server, client):
        arrived, may_go = asyncio.Event(), asyncio.Event()

        async def slow(_: web.Request) -> web.Response:
            arrived.set()
            await may_go.wait()
            return web.json_response(issue())

        server.handler = slow
        read = client.installation(INSTALLATION).get_issue
        first, second = (asyncio.create_task(read("acme/shop", 1)) for _ in range(2))
        await arrived.wait()
        first.cancel()
        may_go.set()
        assert (await second).number == 1
        assert first.cancelled()


def test_what_is_kept_is_bounded() -> None:
    answers = ResponseCache()
    for number in range(100):
        answers.put(number, CacheEntry('"e"', bytes(_MAX_ENTRY_BYTES // 2), None))
    kept = [number for number in range(100) if answers.get(number)]
    assert kept == list(range(100 - len(kept), 100)), "the latest"
    assert 10 < len(kept) <= MAX_CACHE_BYTES // (_MAX_ENTRY_BYTES // 2)
    answers.put("huge", CacheEntry('"e"', bytes(_MAX_ENTRY_BYTES + 1), None))
    assert answers.get("huge") is None
    assert answers.get(99)
