"""A repository in a few GraphQL queries: pages, parts that are missing, and the shape that REST would have given."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.github import errors
from adapters.github.bulk_queries import PullList
from adapters.github.models import Issue
from tests.adapters.github_server import INSTALLATION, github_server, respond_in_turn

WHEN = "2026-01-31T12:00:00Z"
ALICE = {"__typename": "User", "login": "alice", "databaseId": 1}


def node(number: int, **changes: Any) -> dict[str, Any]:
    """An issue as GraphQL tells it."""
    told: dict[str, Any] = {"number": number, "fullDatabaseId": "3000000001", "title": "Sell", "body": "Apples."}
    told |= {"state": "OPEN", "stateReason": None, "url": f"https://github.com/acme/shop/issues/{number}"}
    told |= {"createdAt": WHEN, "updatedAt": WHEN, "lastEditedAt": None, "author": ALICE}
    none = {"totalCount": 0, "nodes": []}
    return told | {"labels": {"nodes": [{"name": "task"}]}, "blockedBy": none, "subIssues": none} | changes


def page(*nodes: Any, after: str | None = None, **more: Any) -> tuple[int, Any, dict[str, str]]:
    """One page of issues."""
    issues = {"nodes": list(nodes), "pageInfo": {"hasNextPage": after is not None, "endCursor": after}}
    return 200, {"data": {"repository": {"issues": issues}}, **more}, {}


def answer(**repository: Any) -> tuple[int, Any, dict[str, str]]:
    """What GitHub says of a repository."""
    return 200, {"data": {"repository": repository}}, {}


async def surveyed(*answers: Any) -> tuple[list[list[Issue]], list[Any]]:
    """The pages of a survey, and the variables that were sent."""
    async with github_server() as (server, client):
        server.handler = respond_in_turn(*answers)
        pages = [
            [one.to_issue() for one in nodes]
            async for nodes in client.installation(INSTALLATION).list_open_issues("acme/shop", "task")
        ]
        sent = [asked.body["variables"] for asked in server.api_requests if isinstance(asked.body, dict)]
        return pages, sent


async def test_page_after_page_and_the_shape_of_rest() -> None:
    bot = {"__typename": "Bot", "login": "claude", "databaseId": 7}
    closed = node(3, state="CLOSED", stateReason="NOT_PLANNED", author=bot)
    pages, sent = await surveyed(page(node(1), node(2, author=None), after="x"), page(closed))
    assert [[issue.number for issue in issues] for issues in pages] == [[1, 2], [3]]
    assert [one["after"] for one in sent] == [None, "x"]
    first, ghost, last = pages[0][0], pages[0][1], pages[1][0]
    assert (first.id, first.label_names, first.state) == (3000000001, {"task"}, "open")
    assert ghost.user is None
    assert last.user
    assert (last.user.login, last.user.type, last.state, last.state_reason) == (
        "claude[bot]",
        "Bot",
        "closed",
        "not_planned",
    )


async def test_what_github_cannot_tell_is_missing_and_the_rest_is_taken() -> None:
    hidden = {"totalCount": 2, "nodes": [None, {"number": 5, "closed": True, "repository": {"nameWithOwner": "a/b"}}]}
    broken = [{"message": "Resource not accessible by integration", "type": "FORBIDDEN"}]
    async with github_server() as (server, client):
        server.handler = respond_in_turn(page(node(1, blockedBy=hidden), None, errors=broken))
        [[one]] = [nodes async for nodes in client.installation(INSTALLATION).list_open_issues("acme/shop", "task")]
    assert one.blocked_by
    assert one.sub_issues
    assert (one.blocked_by.is_complete, one.sub_issues.is_complete) == (False, True)


async def test_a_page_that_is_too_much_for_github_is_asked_for_in_halves() -> None:
    slow: tuple[int, object, dict[str, str]] = (502, {"message": "We couldn't respond to your request in time."}, {})
    _, sent = await surveyed(slow, slow, slow, page(node(1)))
    assert [one["size"] for one in sent] == [100, 100, 100, 50]
    with pytest.raises(errors.Transient):
        await surveyed(*[slow] * 9)


async def test_a_server_that_knows_no_relations_is_asked_for_the_rest() -> None:
    unknown = {"errors": [{"message": "Field 'blockedBy' doesn't exist on type 'Issue'"}]}
    less = {name: value for name, value in node(1).items() if name not in ("blockedBy", "subIssues")}
    async with github_server() as (server, client):
        server.handler = respond_in_turn((200, unknown, {}), page(less))
        [[one]] = [nodes async for nodes in client.installation(INSTALLATION).list_open_issues("acme/shop", "task")]
        asked = [str(asked.body) for asked in server.api_requests]
    assert (one.number, one.blocked_by, one.sub_issues) == (1, None, None)
    assert ["related" in query for query in asked] == [True, False]


async def test_issues_by_number_and_those_that_are_not_there() -> None:
    missing = [{"message": "Could not resolve to an Issue with the number of 2.", "type": "NOT_FOUND"}]
    async with github_server() as (server, client):
        server.handler = respond_in_turn(
            (200, {"data": {"repository": {"n1": node(1), "n2": None}}, "errors": missing}, {})
        )
        found = await client.installation(INSTALLATION).get_issues("acme/shop", [2, 1, 2])
    assert found[1]
    assert (found[1].number, found[2]) == (1, None)


async def test_what_is_waited_for_elsewhere_may_not_be_ours_to_see() -> None:
    there = {"number": 1, "closed": True, "repository": {"nameWithOwner": "acme/shop"}}
    unseen = {"data": {"repository": None}, "errors": [{"message": "Could not resolve", "type": "NOT_FOUND"}]}
    async with github_server() as (server, client):
        server.handler = respond_in_turn(answer(n1=there), (200, unseen, {}))
        places = [("acme/shop", 1), ("else/where", 2), ("no repository", 3)]
        closed = await client.installation(INSTALLATION).get_closed_states(places)
    assert closed == {("acme/shop", 1): True, ("else/where", 2): None, ("no repository", 3): None}


async def test_an_answer_that_is_none_says_so() -> None:
    with pytest.raises(errors.UnexpectedResponse, match="title"):
        await surveyed(page({**node(1), "title": 5}))
    with pytest.raises(errors.NotFound):
        await surveyed((200, {"data": {"repository": None}}, {}))


def run(name: str, status: str = "COMPLETED", conclusion: str | None = "SUCCESS") -> dict[str, Any]:
    """A check run."""
    return {"__typename": "CheckRun", "name": name, "status": status, "conclusion": conclusion}


def status(state: str) -> dict[str, Any]:
    """A status of the older kind."""
    return {"__typename": "StatusContext", "state": state}


async def pulls(*contexts: Any, **changes: Any) -> PullList:
    """The survey of one pull request with these checks."""
    told: dict[str, Any] = {"id": "PR_1", "fullDatabaseId": "9", "number": 4, "title": "Sell", "body": "Closes #1"}
    told |= {"state": "OPEN", "isDraft": False, "url": "https://github.com/acme/shop/pull/4", "createdAt": WHEN}
    told |= {
        "updatedAt": WHEN,
        "mergedAt": None,
        "mergeCommit": None,
        "headRefName": "task/1-1",
        "headRefOid": "a" * 40,
    }
    told |= {"baseRefName": "main", "baseRef": {"name": "main", "target": {"oid": "b" * 40}}, "author": ALICE}
    told |= {"headRepository": {"databaseId": 42, "nameWithOwner": "acme/shop"}}
    rollup = {"contexts": {"totalCount": len(contexts), "nodes": list(contexts)}} if contexts else None
    listed = {"pageInfo": {"hasNextPage": False}, "nodes": [told | {"statusCheckRollup": rollup} | changes]}
    default = {"name": "trunk", "target": {"oid": "c" * 40}}
    async with github_server() as (server, client):
        server.handler = respond_in_turn(
            answer(databaseId=42, nameWithOwner="acme/shop", defaultBranchRef=default, pullRequests=listed)
        )
        return await client.installation(INSTALLATION).list_open_pulls("acme/shop", ["ours"])


@pytest.mark.parametrize(
    ("contexts", "passed"),
    [
        ([], None),
        ([run("ours")], None),
        ([run("CI"), run("ours", "IN_PROGRESS", None)], True),
        ([run("CI"), run("ours", conclusion="FAILURE")], True),
        ([run("CI"), run("lint", conclusion="SKIPPED"), status("SUCCESS")], True),
        ([run("CI"), run("lint", "QUEUED", None)], None),
        ([run("CI", conclusion="ACTION_REQUIRED")], None),
        ([run("CI"), status("EXPECTED")], None),
        ([run("CI", conclusion="TIMED_OUT")], False),
        ([run("CI"), status("ERROR")], False),
    ],
)
async def test_what_checks_say_together_and_ours_are_left_out(contexts: list[Any], passed: bool | None) -> None:
    told = await pulls(*contexts)
    assert told.pulls[0].passed is passed


async def test_a_pull_request_with_its_branches() -> None:
    told = await pulls()
    assert told.heads == {"main": "b" * 40, "trunk": "c" * 40}
    pull = told.pulls[0].pull
    assert (pull.head.ref, pull.head.sha, pull.base.ref, pull.state, pull.is_from_fork) == (
        "task/1-1",
        "a" * 40,
        "main",
        "open",
        False,
    )
    assert (await pulls(headRepository=None)).pulls[0].pull.is_from_fork
    merged = (await pulls(state="MERGED", mergedAt=WHEN, mergeCommit={"oid": "d" * 40}, baseRef=None)).pulls[0].pull
    assert (merged.state, merged.merged, merged.merge_commit_sha) == ("closed", True, "d" * 40)


def remark(number: int) -> dict[str, Any]:
    """A comment."""
    return {"fullDatabaseId": str(number), "body": "", "author": ALICE, "editor": None}


def remarks(*numbers: int, after: str | None = None) -> dict[str, Any]:
    """A page of comments."""
    return {
        "pageInfo": {"hasNextPage": after is not None, "endCursor": after},
        "nodes": [remark(number) for number in numbers],
    }


async def test_what_github_remembers_of_issues_with_many_comments() -> None:
    async with github_server() as (server, client):
        server.handler = respond_in_turn(
            page(node(1, comments=remarks(1, 2, after="c")), after="x"),
            answer(issue={"comments": remarks(3, after="d")}),
            answer(issue={"comments": remarks(4)}),
            page(node(2, state="CLOSED", comments=remarks())),
        )
        memory = client.installation(INSTALLATION)
        found = []
        async for one in memory.list_issues_with_comments("acme/shop", "task"):
            pages = [one.comments, *[more async for more in memory.list_more_comments("acme/shop", one)]]
            found.append((one.number, [said.full_database_id for part in pages for said in part.nodes if said]))
        after = [asked.body["variables"].get("after") for asked in server.api_requests if isinstance(asked.body, dict)]
    assert found == [(1, [1, 2, 3, 4]), (2, [])]
    assert after == [None, "c", "d", "x"]


async def test_the_branches_of_attempts_and_the_highest_number() -> None:
    first = {"pageInfo": {"hasNextPage": True, "endCursor": "b"}, "nodes": [{"name": "1-1"}]}
    last = {"pageInfo": {"hasNextPage": False}, "nodes": [{"name": "1-2"}, None]}
    newest = {"issues": {"nodes": [{"number": 7}]}, "pullRequests": {"nodes": [{"number": 9}]}}
    nothing: dict[str, object] = {"issues": {"nodes": []}, "pullRequests": {"nodes": []}}
    async with github_server() as (server, client):
        server.handler = respond_in_turn(
            answer(refs=first), answer(refs=last), answer(refs=None), answer(**newest), answer(**nothing)
        )
        memory = client.installation(INSTALLATION)
        assert await memory.list_branches("acme/shop", "task/") == ["1-1", "1-2"]
        assert await memory.list_branches("acme/shop", "task/") == []
        assert [await memory.get_latest_number("acme/shop") for _ in range(2)] == [9, 0]
