"""The way to GitHub and back: headers, pages, redirects, retries, limits, hostile names."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from adapters.github import GitHubClient, errors
from adapters.github.http import HttpTimeouts
from adapters.github.operation import Operation
from adapters.github.transport import Transport
from tests.adapters.github_server import (
    INSTALLATION,
    NO_WAIT,
    START,
    Clock,
    comment,
    github_server,
    issue,
    private_key,
    respond_in_turn,
    respond_with,
)
from tests.manual_loop import ManualLoop


async def test_every_request_says_who_asks_and_in_which_version() -> None:
    async with github_server() as (server, client):
        server.handler = respond_with(issue())
        await client.installation(INSTALLATION).get_issue("acme/shop", 1)
    headers = server.api_requests[0].headers
    assert headers["X-GitHub-Api-Version"] == "2022-11-28"
    assert headers["User-Agent"] == "mcp-orchestrator"
    assert headers["Accept"] == "application/vnd.github+json"
    assert ("issues/get", 200) in server.calls


# Pages


async def test_pages_are_followed_to_the_last() -> None:
    async with github_server() as (server, client):

        async def pages(request: web.Request) -> web.Response:
            page = int(request.query.get("page", "1"))
            link = f'<{server.url}/api/x?page={page + 1}>; rel="next", <{server.url}/api/x?page=3>; rel="last"'
            return web.json_response([issue(page)], headers={"Link": link} if page < 3 else {})

        server.handler = pages
        since = datetime(2026, 1, 31, 13, 0, 0, 500, tzinfo=UTC)
        found = await client.installation(INSTALLATION).list_issues(
            "acme/shop", labels=["task", "needs: a+b"], since=since
        )
    assert [one.number for one in found] == [1, 2, 3]
    assert server.api_requests[0].path == (
        "/api/repos/acme/shop/issues?per_page=100&labels=task%2Cneeds%3A%20a%2Bb&state=open"
        "&since=2026-01-31T13%3A00%3A00Z&sort=updated&direction=desc"
    )
    assert [asked.path for asked in server.api_requests[1:]] == ["/api/x?page=2", "/api/x?page=3"]


async def test_pages_of_an_envelope_are_followed_too_and_a_limit_stops_early() -> None:
    run = {
        "id": 1,
        "event": "push",
        "head_sha": "a" * 40,
        "html_url": "https://x",
        "created_at": "2026-01-31T12:00:00Z",
        "updated_at": "2026-01-31T12:00:00Z",
    }
    async with github_server() as (server, client):
        link = f'<{server.url}/api/more>; rel="next"'
        server.handler = respond_with({"total_count": 9, "workflow_runs": [run, run]}, Link=link)
        runs = await client.installation(INSTALLATION).list_workflow_runs("acme/shop", limit=3)
        assert len(runs) == 3
        server.handler = respond_in_turn(
            (200, {"total_count": 2, "jobs": []}, {"Link": link}), (200, {"total_count": 2, "jobs": []}, {})
        )
        assert await client.installation(INSTALLATION).list_run_jobs("acme/shop", 1) == []


async def test_a_next_page_elsewhere_is_refused_before_the_token_goes_there() -> None:
    async with github_server() as (server, client):
        server.handler = respond_with([issue()], Link='<http://evil.example/x>; rel="next"')
        with pytest.raises(errors.UnexpectedResponse, match=r"another server \(evil\.example\)"):
            await client.installation(INSTALLATION).list_issues("acme/shop")


async def test_pages_in_a_circle_come_to_an_end() -> None:
    async with github_server() as (server, client):
        server.handler = respond_with([issue()], Link=f'<{server.url}/api/again>; rel="next"')
        with pytest.raises(errors.UnexpectedResponse, match="does not end"):
            await client.installation(INSTALLATION).list_issues("acme/shop")


@pytest.mark.parametrize("data", [{"message": "?"}, "text", 5, [1], [{"id": "x"}]])
async def test_a_list_that_is_none_is_an_error(data: object) -> None:
    async with github_server() as (server, client):
        server.handler = respond_with(data)
        with pytest.raises(errors.UnexpectedResponse):
            await client.installation(INSTALLATION).list_comments("acme/shop", 1)


# Redirects


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_renamed_repository_is_followed_by_reads(status: int) -> None:
    async with github_server() as (server, client):
        server.handler = respond_in_turn(
            (status, None, {"Location": "/api/repositories/1/issues/1"}), (200, issue(), {})
        )
        await client.installation(INSTALLATION).get_issue("acme/old-name", 1)
    assert [asked.path for asked in server.api_requests] == [
        "/api/repos/acme/old-name/issues/1",
        "/api/repositories/1/issues/1",
    ]
    assert {asked.authorization for asked in server.api_requests} == {"Bearer ghs_1"}


@pytest.mark.parametrize("location", ["/api/repositories/1/pulls", "/api/repositories/1/pulls?state=all&head=a%3Ab"])
async def test_what_was_asked_of_a_renamed_repository_is_asked_there_too(location: str) -> None:
    """Without its filter the list would be another one: all pull requests, instead of those of a branch."""
    async with github_server() as (server, client):
        server.handler = respond_in_turn((301, None, {"Location": location}), (200, [], {}))
        await client.installation(INSTALLATION).list_pulls("acme/old-name", state="all", head="a:b")
    path, _, query = server.api_requests[-1].path.partition("?")
    assert path == "/api/repositories/1/pulls"
    assert {"state=all", "head=a%3Ab"} <= set(query.split("&"))


@pytest.mark.parametrize("status", [301, 307, 308])
async def test_a_renamed_repository_is_followed_by_writes_with_method_and_body(status: int) -> None:
    async with github_server() as (server, client):
        moved = f"{server.url}/api/repositories/1/issues/1/comments"
        server.handler = respond_in_turn((status, None, {"Location": moved}), (201, comment(), {}))
        await client.installation(INSTALLATION).create_comment("acme/old-name", 1, "hello")
    assert [(asked.method, asked.body) for asked in server.api_requests] == [("POST", {"body": "hello"})] * 2


@pytest.mark.parametrize(
    ("status", "location", "kind"),
    [
        (302, "/api/elsewhere", errors.UnknownOutcome),
        (307, "http://evil.example/", errors.UnexpectedResponse),
        (307, "ftp://evil.example/", errors.UnexpectedResponse),
        (307, "http://[broken", errors.UnexpectedResponse),
        (307, "/api/repos/acme/shop/issues/1/comments", errors.UnexpectedResponse),
    ],
)
async def test_other_redirects_of_writes_are_refused(
    status: int, location: str, kind: type[errors.GitHubError]
) -> None:
    async with github_server() as (server, client):
        server.handler = respond_with(None, status, Location=location)
        with pytest.raises(kind):
            await client.installation(INSTALLATION).create_comment("acme/shop", 1, "hello")


async def test_a_log_is_fetched_from_another_host_without_the_token_and_only_its_end_is_kept() -> None:
    shown: list[str | None] = []

    async def log(request: web.Request) -> web.StreamResponse:
        shown.append(request.headers.get("Authorization"))
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(20_000):
            await response.write(b"line %d \xe2\x9c\x93\n" % number)
        return response

    storage = web.Application()
    storage.router.add_get("/log", log)
    async with TestServer(storage) as other, github_server() as (server, client):
        server.handler = respond_with(None, 302, Location=str(other.make_url("/log?sig=secret")))
        gh = client.installation(INSTALLATION)
        tail = await gh.download_job_log("acme/shop", 5, 40)
        whole = await gh.download_job_log("acme/shop", 5, 10_000_000)
    assert tail == "line 19998 ✓\nline 19999 ✓\n"
    assert whole.startswith("line 0 ✓\n")
    assert shown == [None, None]


@pytest.mark.parametrize(("status", "kind"), [(404, errors.NotFound), (410, errors.Gone)])
async def test_a_log_that_is_not_there(status: int, kind: type[errors.GitHubError]) -> None:
    async with github_server() as (server, client):
        server.handler = respond_with({"message": "Not here"}, status)
        with pytest.raises(kind):
            await client.installation(INSTALLATION).download_job_log("acme/shop", 5, 100)
        with pytest.raises(ValueError, match="positive"):
            await client.installation(INSTALLATION).download_job_log("acme/shop", 5, 0)


# Retries


async def test_a_read_is_repeated_until_it_succeeds() -> None:
    async with github_server() as (server, client):
        server.handler = respond_in_turn((502, None, {}), (520, None, {}), (200, issue(), {}))
        assert (await client.installation(INSTALLATION).get_issue("acme/shop", 1)).number == 1
    assert [call for call in server.calls if call[0] == "issues/get"] == [
        ("issues/get", 502),
        ("issues/get", 520),
        ("issues/get", 200),
    ]


async def test_a_read_gives_up_after_its_attempts() -> None:
    async with github_server() as (server, client):
        server.handler = respond_with(None, 500)
        with pytest.raises(errors.Transient, match="issues/get 500"):
            await client.installation(INSTALLATION).get_issue("acme/shop", 1)
    assert len(server.api_requests) == NO_WAIT.attempts


@pytest.mark.parametrize("status", [500, 502, 503, 520])
async def test_a_write_with_an_unclear_answer_is_not_repeated(status: int) -> None:
    async with github_server() as (server, client):
        server.handler = respond_with(None, status)
        with pytest.raises(errors.UnknownOutcome) as caught:
            await client.installation(INSTALLATION).create_comment("acme/shop", 1, "hello")
    assert (caught.value.operation, caught.value.status) == ("issues/create-comment", status)
    assert len(server.api_requests) == 1


async def test_no_answer_in_time_is_repeated_for_reads_and_unclear_for_writes() -> None:
    async with github_server(HttpTimeouts(connect=30, total=60)) as (server, client):
        never, loop = asyncio.Event(), ManualLoop()
        gh = client.installation(INSTALLATION)
        server.handler = respond_with(issue())
        await gh.git_token()

        async def hang(request: web.Request) -> web.Response:
            loop.advance(61)
            await never.wait()
            return web.Response()

        server.handler = hang
        with pytest.raises(errors.Transient, match=r"no answer within 60 s"):
            await gh.get_issue("acme/shop", 1)
        assert len(server.api_requests) == 3
        with pytest.raises(errors.UnknownOutcome, match="no answer"):
            await gh.create_comment("acme/shop", 1, "hello")
        assert len(server.api_requests) == 4
        assert server.calls[-1] == ("issues/create-comment", 0)
        never.set()


async def test_a_connection_that_breaks() -> None:
    async with github_server() as (server, client):

        async def hang_up(request: web.Request) -> web.Response:
            assert request.transport is not None
            request.transport.close()
            return web.Response()

        gh = client.installation(INSTALLATION)
        server.handler = hang_up
        with pytest.raises(errors.UnknownOutcome, match="connection broke"):
            await gh.create_comment("acme/shop", 1, "hello")
        assert len(server.api_requests) == 1
        with pytest.raises(errors.Transient, match="connection broke"):
            await gh.get_issue("acme/shop", 1)


async def test_a_refused_connection_is_safe_to_repeat_even_for_writes() -> None:
    calls: list[tuple[str, int]] = []
    address = f"http://127.0.0.1:{unused_port()}"
    async with GitHubClient(
        api_url=address,
        graphql_url=f"{address}/graphql",
        app_id=42,
        private_key_pem=private_key(),
        now=Clock(),
        retry=NO_WAIT,
        on_call=lambda operation, status: calls.append((operation, status)),
    ) as client:
        with pytest.raises(errors.Transient, match="no connection"):
            await client.app.redeliver(5)
    assert calls == [("apps/redeliver-webhook-delivery", 0)] * 3


async def test_a_rate_limit_is_for_the_caller_to_wait_out() -> None:
    async with github_server() as (server, client):
        server.handler = respond_with({"message": "slow"}, 403, Retry_After="30")
        with pytest.raises(errors.RateLimited) as caught:
            await client.installation(INSTALLATION).get_issue("acme/shop", 1)
    assert caught.value.retry_at == START + timedelta(seconds=30)
    assert len(server.api_requests) == 1


async def test_answers_that_make_no_sense() -> None:
    async with github_server() as (server, client):
        gh = client.installation(INSTALLATION)

        async def page(request: web.Request) -> web.Response:
            return web.Response(text="<html>", content_type="text/html")

        server.handler = page
        with pytest.raises(errors.UnexpectedResponse, match="not JSON"):
            await gh.get_issue("acme/shop", 1)
        with pytest.raises(errors.UnknownOutcome, match="not JSON"):
            await gh.create_comment("acme/shop", 1, "hello")
        server.handler = respond_with({"id": "x"})
        with pytest.raises(errors.UnexpectedResponse, match=r"issues/get 200: the answer is no Issue: id"):
            await gh.get_issue("acme/shop", 1)
        with pytest.raises(errors.UnknownOutcome, match="no Comment"):
            await gh.create_comment("acme/shop", 1, "hello")
        with pytest.raises(errors.UnknownOutcome, match="list of labels"):
            await gh.set_issue_labels("acme/shop", 1, ["task"])


async def test_an_answer_that_is_too_large_is_not_read_to_its_end() -> None:
    class Anyone:
        name = "anyone"
        context = None

        async def token(self) -> str:
            return "t"

        def discard(self, token: str) -> None:
            raise AssertionError

    async with github_server() as (server, _):
        server.handler = respond_with("x" * 100_000)
        async with Transport(
            api_url=server.url, graphql_url=server.url, now=server.clock, retry=NO_WAIT, max_body=1000
        ) as transport:
            with pytest.raises(errors.TooLarge, match="larger than 1000 bytes"):
                await transport.request(Operation("x/y", "GET", "/x", None), {}, Anyone())
        with pytest.raises(RuntimeError, match="closed"):
            await transport.request(Operation("x/y", "GET", "/x", None), {}, Anyone())


@pytest.mark.parametrize("url", ["", "github.com", "ftp://x", "https://user:pw@x", "https://x/?a=1", "http://["])
def test_an_address_that_is_none_names_the_setting(url: str) -> None:
    with pytest.raises(ValueError, match="GITHUB_API_URL must be"):
        Transport(api_url=url, graphql_url="https://x", now=Clock())


# Hostile names


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("task/12-1", "task%2F12-1"),
        ("a?ref=main#x", "a%3Fref%3Dmain%23x"),
        ("a%2F..%2Fb", "a%252F..%252Fb"),
        ("../../../app", "..%2F..%2F..%2Fapp"),
        ("ünï", "%C3%BCn%C3%AF"),
        ("a b+c&d", "a%20b%2Bc%26d"),
        ("a\r\nX-Evil: 1", "a%0D%0AX-Evil%3A%201"),
    ],
)
async def test_names_stay_inside_their_part_of_the_address(name: str, path: str) -> None:
    async with github_server() as (server, client):
        server.handler = respond_with({"permission": "read", "role_name": "read", "user": {"id": 1, "login": "a"}})
        await client.installation(INSTALLATION).get_permission("acme/shop", name)
    assert server.api_requests[0].path == f"/api/repos/acme/shop/collaborators/{path}/permission"


@pytest.mark.parametrize("name", ["", ".", "..", "\ud800"])
async def test_names_that_would_change_the_address_are_never_sent(name: str) -> None:
    async with github_server() as (server, client):
        gh = client.installation(INSTALLATION)
        with pytest.raises(ValueError, match="repos/get-collaborator-permission-level"):
            await gh.get_permission("acme/shop", name)
        with pytest.raises(ValueError, match="repos/get-content"):
            await gh.get_content("acme/shop", f"docs/{name}/x")
    assert server.requests == []


@pytest.mark.parametrize(
    "repo", ["", "shop", "acme/shop/x", "acme/../..", "../x", "acme/sh op", "acme/", "acme/..", "a/b\n"]
)
async def test_what_is_no_repository_is_never_sent(repo: str) -> None:
    async with github_server() as (server, client):
        with pytest.raises(ValueError):  # noqa: PT011 - two kinds of refusal, one outcome
            await client.installation(INSTALLATION).get_issue(repo, 1)
    assert server.requests == []


# GraphQL


async def test_graphql_goes_to_its_own_address_and_gives_the_data() -> None:
    async with github_server() as (server, client):
        server.handler = respond_with({"data": {"viewer": {"login": "bot"}}})
        data = await client.installation(INSTALLATION).graphql("query($n: Int) { viewer { login } }", {"n": 1})
    assert data == {"viewer": {"login": "bot"}}
    assert (server.api_requests[0].path, server.api_requests[0].method) == ("/graphql", "POST")
    assert server.api_requests[0].body == {"query": "query($n: Int) { viewer { login } }", "variables": {"n": 1}}


async def test_graphql_errors_keep_the_partial_data() -> None:
    async with github_server() as (server, client):
        server.handler = respond_with({"data": {"a": 1, "b": None}, "errors": [{"message": "b is gone"}]})
        with pytest.raises(errors.GraphQLError, match="graphql 200: b is gone") as caught:
            await client.installation(INSTALLATION).graphql("{ a b }")
    assert (caught.value.data, caught.value.errors) == ({"a": 1, "b": None}, ("b is gone",))


async def test_graphql_says_rate_limited_in_a_successful_answer() -> None:
    async with github_server() as (server, client):
        server.handler = respond_with({"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]})
        with pytest.raises(errors.RateLimited) as caught:
            await client.installation(INSTALLATION).graphql("{ a }")
    assert caught.value.retry_at > START


@pytest.mark.parametrize("data", [[], {}, {"data": None}, {"errors": "odd"}, {"errors": [5]}])
async def test_graphql_answers_that_make_no_sense(data: object) -> None:
    async with github_server() as (server, client):
        server.handler = respond_with(data)
        with pytest.raises(errors.GitHubError):
            await client.installation(INSTALLATION).graphql("{ a }")


async def test_a_graphql_query_is_repeated_and_a_mutation_is_not() -> None:
    async with github_server() as (server, client):
        gh = client.installation(INSTALLATION)
        server.handler = respond_with(None, 502)
        with pytest.raises(errors.Transient):
            await gh.graphql("query { a }")
        assert len(server.api_requests) == 3
        with pytest.raises(errors.UnknownOutcome):
            await gh.graphql("mutation { a }")
        assert len(server.api_requests) == 4
    assert json.loads(json.dumps(server.api_requests[3].body))["query"] == "mutation { a }"
