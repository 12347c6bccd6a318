"""What the HTTP adapter makes of hostile answers and addresses; the rest is in `tests/conformance`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from adapters.agents import CannotStart, RepositoryContext, Services, StartResult, Unavailable
from adapters.agents.generic_http import SIGNATURE, signature
from adapters.agents.http import HttpAdapter
from adapters.agents.presets.devin import UNAVAILABLE_REASONS
from adapters.agents.public_addresses import PublicResolver
from adapters.agents.service_client import MAX_RESPONSE_BYTES, NoResponse
from adapters.github import GitHub
from config.agent_kinds import HttpAgent
from core.effects.base import CancelAgent, MessageAgent, PollAgent, StartAgent
from core.task.model import SessionState
from tests.builders import NOW
from tests.conformance.stages import packet

KEY = "s3cret-of-the-operator"
ADAPTER = HttpAdapter()
CURSOR = HttpAgent(adapter="http", preset="cursor")
DEVIN = HttpAgent(adapter="http", preset="devin")
POLL = PollAgent(12, 1, "cursor", "s-1")


@dataclass
class Server:
    """A server that answers everything the same way, and remembers what it was asked."""

    url: str = ""
    answer: Callable[[], web.StreamResponse] = lambda: web.json_response({})
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def says(self, data: Any, status: int = 200, **headers: str) -> None:
        self.answer = lambda: web.json_response(data, status=status, headers=headers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs, dict(request.headers), await request.read()))
        return self.answer()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    it = Server()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", it.handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    it.url = "http://{}:{}".format(*runner.addresses[0][:2])
    yield it
    await runner.cleanup()


@pytest.fixture
async def site(server: Server) -> AsyncIterator[RepositoryContext]:
    async with aiohttp.ClientSession() as http:
        keys = {name: SecretStr(KEY) for name in ("cursor", "jules", "devin", "http")}
        services = Services(http, keys, dict.fromkeys(keys, server.url), allows_internal_urls=True)
        yield RepositoryContext(cast(GitHub, None), "acme/shop", "main", 1, services, NOW)


def order() -> StartAgent:
    return StartAgent(12, 1, "cursor", packet("https://github.com", 12, 1), NOW)


async def start(site: RepositoryContext, spec: HttpAgent = CURSOR) -> StartResult:
    return await ADAPTER.start(site, spec, order(), is_retry=False)


# Answers


async def test_answers_that_are_none_are_unclear(server: Server, site: RepositoryContext) -> None:
    """What was asked for may have been done, so the outbox tries again and looks first."""
    answers: list[tuple[web.Response, str]] = [
        (web.Response(text="<html>Hello</html>"), "not JSON"),
        (web.Response(body=b"\xff\xfe{}"), "not JSON"),
        (web.Response(text="[" * 100_000), "not JSON"),
        (web.json_response([1]), "not an object"),
        (web.Response(body=b" " * (MAX_RESPONSE_BYTES + 1)), "more than the limit of 2,097,152 bytes"),
        (web.json_response({"error": "later"}, status=503), r"has an internal error \(status 503\): later"),
        (web.json_response({"id": "../../admin"}), "no valid session id"),
        (web.json_response({"id": 7}), "no valid session id"),
        (web.json_response({}), "no valid session id"),
    ]
    for answer, words in answers:
        server.answer = lambda answer=answer: answer  # type: ignore[misc]  # a default that binds it
        with pytest.raises(NoResponse, match=words):
            await start(site)


async def test_the_server_is_unreachable(server: Server, site: RepositoryContext) -> None:
    unused = Services(site.services.http, site.services.keys, {"cursor": "http://127.0.0.1:9"})
    with pytest.raises(NoResponse, match="did not answer") as failure:
        await start(RepositoryContext(site.github, site.repository, "main", 1, unused, NOW))
    assert KEY not in repr(failure.value)


async def test_a_redirect_is_not_followed(server: Server, site: RepositoryContext) -> None:
    """A redirect would send the key to an address that the service or a proxy chooses."""
    server.answer = lambda: web.Response(status=307, headers={"Location": f"{server.url}/elsewhere"})
    with pytest.raises(CannotStart, match="the bot does not follow"):
        await start(site)
    assert [path for _, path, _, _ in server.asked] == ["/v0/agents"]


async def test_an_echoed_key_is_not_passed_on(server: Server, site: RepositoryContext) -> None:
    for status in (400, 401, 429, 500):
        server.says({"error": {"message": f"bad key {KEY} <!-- @everyone\n"}}, status)
        with pytest.raises((CannotStart, Unavailable, NoResponse), match=r"bad key \*\*\*") as failure:
            await start(site)
        assert KEY not in f"{failure.value!r} {failure.value.__cause__!r}"


@pytest.mark.parametrize(
    ("status", "words", "headers", "minutes"),
    [
        (429, "slow down", {"Retry-After": "120"}, 2),
        (429, "slow down", {"Retry-After": format_datetime(NOW + timedelta(minutes=5), usegmt=True)}, 5),
        (429, "slow down", {"Retry-After": "99999999999"}, 24 * 60),  # at most a day is accepted
        (429, "slow down", {"Retry-After": "soon"}, None),
        (429, "slow down", {"Retry-After": "-5"}, None),
        (402, "pay first", {}, None),
        (403, "usage limit exceeded for this month", {}, None),
        (400, "Insufficient credits", {"Retry-After": "60"}, 1),
    ],
)
async def test_limits_and_empty_purses(
    server: Server, site: RepositoryContext, status: int, words: str, headers: dict[str, str], minutes: int | None
) -> None:
    server.says({"error": words}, status, **headers)
    with pytest.raises(Unavailable, match=words) as failure:
        await start(site)
    assert failure.value.retry_at == (NOW + timedelta(minutes=minutes) if minutes else None)


async def test_refusals_are_for_a_person(server: Server, site: RepositoryContext) -> None:
    for status, words in ((401, "check CURSOR_API_KEY"), (403, "check CURSOR_API_KEY"), (422, "refused the work")):
        server.says({"detail": "no"}, status)
        with pytest.raises(CannotStart, match=words):
            await start(site)
    server.says({}, 404)
    with pytest.raises(CannotStart, match="Check the address of the service"):
        await start(site)


async def test_being_asked_too_often_says_nothing_of_the_session(server: Server, site: RepositoryContext) -> None:
    server.says({}, 429)
    with pytest.raises(NoResponse):
        await ADAPTER.poll(site, CURSOR, POLL)


@pytest.mark.parametrize("reason", list(UNAVAILABLE_REASONS))
async def test_a_session_without_credit_cannot_go_on(server: Server, site: RepositoryContext, reason: str) -> None:
    server.says({"session_id": "s-1", "status": "suspended", "status_detail": reason})
    with pytest.raises(Unavailable, match=UNAVAILABLE_REASONS[reason]):
        await ADAPTER.poll(site, DEVIN, POLL)


async def test_an_unknown_state_counts_only_as_a_heartbeat(server: Server, site: RepositoryContext) -> None:
    server.says({"id": "s-1", "status": "MEDITATING"})
    news = await ADAPTER.poll(site, CURSOR, POLL)
    assert news is not None
    assert news.state is SessionState.QUEUED


async def test_devin_waits_for_a_word_when_its_work_is_there(server: Server, site: RepositoryContext) -> None:
    server.says({"session_id": "s-1", "status_enum": "blocked"})
    asks = await ADAPTER.poll(site, DEVIN, POLL)
    assert asks is not None
    assert asks.state is SessionState.NEEDS_INPUT
    url = "https://github.com/acme/shop/pull/7"
    server.says({"session_id": "s-1", "status_enum": "blocked", "pull_request": {"url": url}})
    delivered = await ADAPTER.poll(site, DEVIN, POLL)
    assert delivered is not None
    assert (delivered.state, delivered.pull_number) == (SessionState.DELIVERED, 7)


@pytest.mark.parametrize(
    ("told", "number"),
    [
        ("https://github.com/acme/shop/pull/7", 7),
        ("https://github.com/ACME/Shop/pull/7/", 7),
        ("https://github.com/acme/other/pull/7", None),
        ("https://github.com/acme/shop/issues/7", None),
        ("https://github.com/acme/shop/pull/7?x=https://github.com/acme/shop/pull/8", None),
        ("7) [x](https://evil.example", None),
        ("", None),
    ],
)
async def test_only_a_pull_request_of_the_repository_is_taken(
    server: Server, site: RepositoryContext, told: str, number: int | None
) -> None:
    server.says({"id": "s-1", "status": "FINISHED", "target": {"prUrl": told}})
    news = await ADAPTER.poll(site, CURSOR, POLL)
    assert news is not None
    assert news.pull_number == number


async def test_a_page_that_would_break_out_of_its_link_is_left_out(server: Server, site: RepositoryContext) -> None:
    pages = {
        "https://cursor.com/agents?id=s-1": True,
        "https://x.example/) [pay here](https://evil.example": False,
        "javascript:alert(1)": False,
        "https://x.example/`\n@all": False,
        "https://x.example/" + "a" * 600: False,
    }
    for page, good in pages.items():
        server.says({"id": "s-1", "target": {"url": page}})
        assert (await start(site)).url == (page if good else "")


async def test_an_ended_run_is_not_cancelled_and_other_refusals_are_reported(
    server: Server, site: RepositoryContext
) -> None:
    replies = iter([web.json_response({}, status=409), web.json_response({"id": "s-1", "status": "FINISHED"})])
    server.answer = lambda: next(replies)
    await ADAPTER.cancel(site, CURSOR, CancelAgent(12, 1, "cursor", "s-1"))
    replies = iter([web.json_response({}, status=409), web.json_response({"id": "s-1", "status": "RUNNING"})])
    with pytest.raises(CannotStart, match="status 409"):
        await ADAPTER.cancel(site, CURSOR, CancelAgent(12, 1, "cursor", "s-1"))


async def test_a_limit_does_not_make_us_give_up_on_stopping(server: Server, site: RepositoryContext) -> None:
    for status in (402, 429):
        server.says({}, status)
        with pytest.raises(NoResponse):
            await ADAPTER.cancel(site, CURSOR, CancelAgent(12, 1, "cursor", "s-1"))


# A server of a team's own


async def test_all_that_is_said_to_a_server_is_signed(server: Server, site: RepositoryContext) -> None:
    spec = HttpAgent(adapter="http", url=f"{server.url}/hook?team=a")
    server.says({"session": "s-1", "state": "working"})
    await start(site, spec)
    await ADAPTER.poll(site, spec, POLL)
    await ADAPTER.send_message(site, spec, MessageAgent(12, 1, "cursor", "s-1", NOW, "review:1", "Faster!"))
    await ADAPTER.cancel(site, spec, CancelAgent(12, 1, "cursor", "s-1"))
    assert await ADAPTER.probe(site, spec) == ()
    paths = [path for _, path, _, _ in server.asked]
    assert paths == [
        "/hook?team=a",
        "/hook/poll?team=a",
        "/hook/poll?team=a",  # steering looks how it goes first
        "/hook/steer?team=a",
        "/hook/cancel?team=a",
        "/hook/probe?team=a",
    ]
    for _, _, headers, body in server.asked:
        assert headers[SIGNATURE] == signature(KEY, body)
        assert json.loads(body)["to"] == spec.url
    begun = json.loads(server.asked[0][3])
    assert begun["key"] == "acme/shop task/12-1"
    assert begun["packet"] == order().packet


async def test_an_unknown_state_is_answered_with_the_known_ones(server: Server, site: RepositoryContext) -> None:
    server.says({"session": "s-1", "state": "busy"})
    with pytest.raises(NoResponse, match="'busy'; it must be one of queued, working"):
        await start(site, HttpAgent(adapter="http", url=server.url))


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:5432/",
        "http://localhost:5432/",
        "https://10.1.2.3/",
        "https://192.168.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
    ],
)
async def test_an_internal_address_is_not_called(server: Server, site: RepositoryContext, url: str) -> None:
    """Otherwise a repository's configuration could make the bot send requests behind the firewall."""
    outside = Services(site.services.http, site.services.keys)
    there = RepositoryContext(site.github, site.repository, "main", 1, outside, NOW)
    with pytest.raises(CannotStart, match="internal address"):
        await start(there, HttpAgent(adapter="http", url=url))
    [problem] = await ADAPTER.probe(there, HttpAgent(adapter="http", url=url))
    assert "ALLOW_INTERNAL_AGENT_URLS" in problem


async def test_a_name_that_leads_inside_is_not_called() -> None:
    resolver = PublicResolver()
    for name in ("localhost", "127.1", "0x7f000001", "2130706433"):
        with pytest.raises(OSError, match="no public address"):
            await resolver.resolve(name, 80)
