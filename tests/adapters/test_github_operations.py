"""Every operation against GitHub's own description: what is declared, and what is really sent."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web

from adapters.github import OPERATIONS, GitHub, GitHubClient, Operation, errors
from adapters.github.base_client import format_timestamp
from adapters.github.operation import operation
from sandbox.http.merge_schema import merge
from tests.adapters.github_server import (
    INSTALLATION,
    START,
    FakeServer,
    ReceivedRequest,
    comment,
    github_server,
    issue,
    respond_in_turn,
    respond_with,
)

Json = dict[str, Any]


@cache
def description() -> Json:
    """GitHub's description of its REST API, as kept with the tests."""
    data = Path(__file__).parents[1] / "data" / "github"
    whole: Json = json.loads((data / "rest-api.json").read_text())
    merge(whole, json.loads((data / "documented.json").read_text()))
    return whole


def resolved(part: Json) -> Json:
    while "$ref" in part:
        target: Json = description()
        for key in part["$ref"].split("/")[1:]:
            target = target[key]
        part = target
    return part


def described(one: Operation) -> Json:
    return dict(description()["paths"][one.path][one.method.lower()])


def parameters(one: Operation, place: str) -> dict[str, Json]:
    found = (resolved(parameter) for parameter in described(one).get("parameters", []))
    return {parameter["name"]: parameter for parameter in found if parameter["in"] == place}


def body_schema(one: Operation) -> Json:
    body = resolved(described(one).get("requestBody", {}))
    return resolved(body.get("content", {}).get("application/json", {}).get("schema", {}))


def body_keys(schema: Json) -> Iterator[str]:
    yield from schema.get("properties", {})
    for choice in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        yield from body_keys(resolved(choice))


@pytest.mark.parametrize("one", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_what_is_declared_is_what_github_describes(one: Operation) -> None:
    assert described(one)["operationId"] == one.id
    assert set(re.findall(r"\{(\w+)\}", one.path)) == set(parameters(one, "path"))
    assert one.query <= set(parameters(one, "query"))
    assert one.body <= set(body_keys(body_schema(one)))
    assert one.slashes <= set(parameters(one, "path"))
    if one.items is not None:
        schema = resolved(described(one)["responses"]["200"]["content"]["application/json"]["schema"])
        assert schema["properties"][one.items]["type"] == "array"


def test_permissions_are_named_as_the_manifest_names_them() -> None:
    known = resolved({"$ref": "#/components/schemas/app-permissions"})["properties"]
    for one in OPERATIONS.values():
        if one.permission is not None:
            name, access = one.permission
            assert access in known[name]["enum"]
            assert one.method == "GET" or access == "write"
        else:
            assert one.path.startswith(("/app", "/user", "/users/"))


def test_an_operation_is_declared_once() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        operation("issues/get", "GET", "/x", permission=None)


def test_a_key_that_is_not_declared_is_never_sent() -> None:
    with pytest.raises(ValueError, match="issues/update does not declare milestone"):
        OPERATIONS["issues/update"].check_keys({}, {"milestone": 5})
    with pytest.raises(ValueError, match="issues/get does not declare page"):
        OPERATIONS["issues/get"].check_keys({"page": 1}, None)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        format_timestamp(START.replace(tzinfo=None))


USER: Json = {"id": 1, "login": "ada", "type": "User"}
LABEL: Json = {"id": 1, "name": "task", "color": "ededed", "description": None}
REPO: Json = {"id": 9, "name": "shop", "full_name": "acme/shop", "owner": USER}
SHA = "a" * 40
TIMES: Json = {"created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-01-31T12:00:00Z"}
END: Json = {"ref": "main", "sha": SHA, "repo": REPO}
PULL: Json = {
    "id": 1,
    "number": 7,
    "title": "t",
    "state": "closed",
    "head": END,
    "base": END,
    "user": USER,
    "html_url": "https://x",
    "merged_at": "2026-01-31T12:00:00Z",
    **TIMES,
}
CHECK: Json = {"id": 1, "name": "c", "head_sha": SHA, "status": "queued"}
RUN: Json = {"id": 1, "event": "push", "head_sha": SHA, "html_url": "https://x", **TIMES}
JOB: Json = {"id": 1, "run_id": 1, "name": "j", "status": "completed", "head_sha": SHA}
DELIVERY: Json = {
    "id": 1,
    "guid": "g",
    "delivered_at": "2026-01-31T12:00:00Z",
    "status": "OK",
    "status_code": 200,
    "event": "issues",
}
FILE: Json = {
    "type": "file",
    "path": "a/b",
    "sha": SHA,
    "size": 2,
    "encoding": "base64",
    "content": base64.b64encode(b"hi").decode() + "\n",
}

R = "acme/shop"
Act = Callable[[GitHub], Awaitable[object]]
CALLS: dict[str, tuple[Act, object]] = {
    "issues/get": (lambda gh: gh.get_issue(R, 1), issue()),
    "issues/list-for-repo": (lambda gh: gh.list_issues(R, labels=["task"], state="all", since=START), [issue()]),
    "issues/create": (lambda gh: gh.create_issue(R, title="t", body="b", labels=["task"]), issue()),
    "issues/update": (
        lambda gh: gh.update_issue(R, 1, body="", state="closed", state_reason="completed", labels=["t"]),
        issue(),
    ),
    "issues/list-comments": (lambda gh: gh.list_comments(R, 1, since=START), [comment()]),
    "issues/get-comment": (lambda gh: gh.get_comment(R, 5), comment()),
    "issues/create-comment": (lambda gh: gh.create_comment(R, 1, "hello"), comment()),
    "issues/update-comment": (lambda gh: gh.update_comment(R, 5, "hello"), comment()),
    "reactions/create-for-issue-comment": (
        lambda gh: gh.react_to_comment(R, 5, "eyes"),
        {"id": 1, "content": "eyes", "user": USER},
    ),
    "reactions/list-for-issue": (
        lambda gh: gh.list_issue_reactions(R, 1),
        [{"id": 1, "content": "eyes", "user": USER, "created_at": "2026-01-31T12:00:00Z"}],
    ),
    "reactions/list-for-issue-comment": (lambda gh: gh.list_comment_reactions(R, 5), [{"id": 1, "content": "eyes"}]),
    "issues/add-assignees": (
        lambda gh: gh.add_assignees(R, 1, ["copilot-swe-agent[bot]"], agent={"target_repo": R, "base_branch": "main"}),
        issue(),
    ),
    "issues/remove-assignees": (lambda gh: gh.remove_assignees(R, 1, ["ada"]), issue()),
    "issues/list-events": (
        lambda gh: gh.list_issue_events(R, 1),
        [{"id": 1, "event": "assigned", "actor": USER, "assignee": USER, "created_at": "2026-01-31T12:00:00Z"}],
    ),
    "issues/list-dependencies-blocked-by": (lambda gh: gh.list_blocked_by(R, 1), [issue()]),
    "issues/add-blocked-by-dependency": (lambda gh: gh.add_blocked_by(R, 1, 77), issue()),
    "issues/remove-dependency-blocked-by": (lambda gh: gh.remove_blocked_by(R, 1, 77), issue()),
    "issues/list-sub-issues": (lambda gh: gh.list_sub_issues(R, 1), [issue()]),
    "issues/list-labels-for-repo": (lambda gh: gh.list_repo_labels(R), [LABEL]),
    "issues/create-label": (lambda gh: gh.create_label(R, "task", color="ededed", description="d"), LABEL),
    "issues/list-labels-on-issue": (lambda gh: gh.list_issue_labels(R, 1), [LABEL]),
    "issues/set-labels": (lambda gh: gh.set_issue_labels(R, 1, ["task", "P1", "task"]), [LABEL]),
    "pulls/get": (lambda gh: gh.get_pull(R, 7), PULL),
    "pulls/list": (lambda gh: gh.list_pulls(R, state="all", head="acme:task/1-1"), [PULL]),
    "pulls/list-files": (lambda gh: gh.list_pull_files(R, 7), [{"filename": "a", "status": "added"}]),
    "pulls/list-review-comments": (
        lambda gh: gh.list_review_comments(R, 7, 1),
        [{"id": 1, "pull_request_review_id": 1, "path": "a", "line": 3, "body": "no"}],
    ),
    "pulls/merge": (
        lambda gh: gh.merge_pull(R, 7, sha=SHA, method="squash", title="t", message="m"),
        {"sha": SHA, "merged": True, "message": "ok"},
    ),
    "pulls/update-branch": (lambda gh: gh.update_branch(R, 7, expected_head_sha=SHA), {"message": "later"}),
    "checks/list-for-ref": (
        lambda gh: gh.list_check_runs(R, "task/1-1", name="c"),
        {"total_count": 1, "check_runs": [CHECK]},
    ),
    "checks/list-suites-for-ref": (
        lambda gh: gh.list_check_suites(R, SHA),
        {"total_count": 1, "check_suites": [{"id": 1, "head_sha": SHA, "status": "queued"}]},
    ),
    "repos/get-combined-status-for-ref": (
        lambda gh: gh.get_combined_status(R, SHA),
        {"state": "pending", "sha": SHA, "total_count": 0, "statuses": []},
    ),
    "checks/create": (
        lambda gh: gh.create_check_run(
            R,
            name="conflict-first",
            head_sha=SHA,
            status="completed",
            conclusion="success",
            external_id="1",
            output={"title": "t", "summary": "s"},
            actions=[{"label": "Hold", "description": "d", "identifier": "hold"}],
        ),
        CHECK,
    ),
    "checks/update": (
        lambda gh: gh.update_check_run(R, 1, status="completed", conclusion="failure", actions=[]),
        CHECK,
    ),
    "actions/list-workflow-runs-for-repo": (
        lambda gh: gh.list_workflow_runs(R, event="push"),
        {"total_count": 1, "workflow_runs": [RUN]},
    ),
    "actions/get-workflow-run": (lambda gh: gh.get_workflow_run(R, 1), RUN),
    "actions/list-jobs-for-workflow-run": (lambda gh: gh.list_run_jobs(R, 1), {"total_count": 1, "jobs": [JOB]}),
    "actions/download-job-logs-for-workflow-run": (lambda gh: gh.download_job_log(R, 1, 100), "log"),
    "actions/cancel-workflow-run": (lambda gh: gh.cancel_run(R, 1), {}),
    "actions/list-repo-workflows": (
        lambda gh: gh.list_workflows(R),
        {"total_count": 1, "workflows": [{"id": 1, "name": "a", "path": ".github/workflows/a.yml", "state": "active"}]},
    ),
    "repos/create-dispatch-event": (lambda gh: gh.create_dispatch(R, "agent-task", {"a": 1}), None),
    "actions/create-workflow-dispatch": (
        lambda gh: gh.dispatch_workflow(R, "agent.yml", ref="main", inputs={"a": "b"}),
        None,
    ),
    "repos/get": (lambda gh: gh.get_repository(R), REPO),
    "repos/compare-commits-with-basehead": (
        lambda gh: gh.compare(R, "main", "task/1-1"),
        {
            "status": "ahead",
            "ahead_by": 1,
            "behind_by": 0,
            "total_commits": 1,
            "merge_base_commit": {"sha": SHA},
        },
    ),
    "repos/get-commit": (
        lambda gh: gh.get_commit(R, SHA),
        {"sha": SHA, "commit": {"message": "m"}, "author": {}, "parents": []},
    ),
    "repos/get-content": (lambda gh: gh.get_content(R, ".github/a b.yml", ref="a/b"), FILE),
    "repos/get-collaborator-permission-level": (
        lambda gh: gh.get_permission(R, "dependabot[bot]"),
        {"permission": "write", "role_name": "maintain", "user": USER},
    ),
    "users/get-authenticated": (lambda gh: gh.get_me(), USER),
    "users/get-by-username": (lambda gh: gh.get_user("mcp-orchestrator[bot]"), USER),
    "apps/list-repos-accessible-to-installation": (
        lambda gh: gh.list_installation_repositories(),
        {"total_count": 1, "repositories": [REPO]},
    ),
}


def matches(one: Operation, asked: ReceivedRequest) -> bool:
    pattern = re.sub(
        r"\\\{(\w+)\\\}", lambda hit: "(.+)" if hit[1] in one.slashes else "([^/]+)", re.escape("/api" + one.path)
    )
    return asked.method == one.method and re.fullmatch(pattern, urlsplit(asked.path).path) is not None


def check_schema(value: object, schema: Json) -> None:
    """The part of JSON Schema that the description of request bodies uses."""
    schema = resolved(schema)
    if value is None:
        assert schema.get("nullable"), schema
        return
    choices = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
    if choices:
        problems = []
        for choice in choices:
            try:
                check_schema(value, {**choice, "properties": choice.get("properties", schema.get("properties", {}))})
            except AssertionError as problem:
                problems.append(problem)
            else:
                break
        else:
            raise AssertionError(problems)
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    if schema.get("type") in kinds:
        assert isinstance(value, kinds[schema["type"]]), (value, schema["type"])
    if "enum" in schema:
        assert value in schema["enum"]
    if isinstance(value, dict):
        assert set(schema.get("required", ())) <= set(value)
        for key, item in value.items():
            if key in schema.get("properties", {}):
                check_schema(item, schema["properties"][key])
    if isinstance(value, list) and "items" in schema:
        for item in value:
            check_schema(item, schema["items"])


@pytest.mark.parametrize("name", CALLS)
async def test_what_is_sent_is_what_github_describes(name: str) -> None:
    act, data = CALLS[name]
    one = OPERATIONS[name]
    async with github_server() as (server, client):
        server.handler = respond_with(data)
        await act(client.installation(INSTALLATION))
    [asked] = server.api_requests
    assert matches(one, asked), asked.path
    described_query = parameters(one, "query")
    for key, value in parse_qsl(urlsplit(asked.path).query):
        schema = resolved(described_query[key]["schema"])
        check_schema(int(value) if schema.get("type") == "integer" else value, schema)
    if asked.body is not None or resolved(described(one).get("requestBody", {})).get("required"):
        check_schema(asked.body, body_schema(one))
    assert server.calls[-1] == (name, 200)


APP_CALLS: dict[str, tuple[Callable[[GitHubClient], Awaitable[object]], object]] = {
    "apps/get-authenticated": (lambda client: client.app.get_app(), {"id": 42, "name": "o", "slug": "o"}),
    "apps/list-installations": (
        lambda client: client.app.list_installations(),
        [{"id": 7, "account": USER}, {"id": 8, "account": {"id": 3, "slug": "big"}}],
    ),
    "apps/create-installation-access-token": (
        lambda client: client.app.create_installation_token(8),
        {"token": "ghs_x", "expires_at": "2026-01-31T13:00:00Z"},
    ),
    "apps/list-webhook-deliveries": (lambda client: client.app.list_hook_deliveries("v1_5"), [DELIVERY]),
    "apps/redeliver-webhook-delivery": (lambda client: client.app.redeliver(5), {}),
}


@pytest.mark.parametrize("name", APP_CALLS)
async def test_what_the_app_itself_sends_is_what_github_describes(name: str) -> None:
    act, data = APP_CALLS[name]
    async with github_server() as (server, client):
        server.handler = respond_with(data)
        await act(client)
    [asked] = server.requests
    assert matches(OPERATIONS[name], asked)
    assert set(dict(parse_qsl(urlsplit(asked.path).query))) <= set(parameters(OPERATIONS[name], "query"))
    assert str(asked.authorization).count(".") == 2, "the App's own JWT"


def test_every_operation_is_tried_here() -> None:
    assert set(CALLS) | set(APP_CALLS) == set(OPERATIONS)


# What some answers mean


async def ask(server: FakeServer, client: GitHubClient, act: Act, status: int, data: object) -> object:
    server.handler = respond_with(data, status)
    return await act(client.installation(INSTALLATION))


async def test_bodies_are_what_was_meant() -> None:
    async with github_server() as (server, client):
        server.handler = respond_in_turn((200, [LABEL], {}), (200, issue(), {}))
        gh = client.installation(INSTALLATION)
        await gh.set_issue_labels(R, 1, ["task", "P1", "task"])
        await gh.update_issue(R, 1, state="closed")
    assert [asked.body for asked in server.api_requests] == [{"labels": ["P1", "task"]}, {"state": "closed"}]


async def test_files_and_what_is_none() -> None:
    async with github_server() as (server, client):
        read: Act = lambda gh: gh.get_content(R, "a/b")  # noqa: E731
        assert await ask(server, client, read, 200, FILE) == b"hi"
        assert await ask(server, client, read, 404, {"message": "Not Found"}) is None
        with pytest.raises(errors.Invalid, match="a/b is a directory"):
            await ask(server, client, read, 200, [FILE])
        with pytest.raises(errors.Invalid, match="a/b is a symlink"):
            await ask(server, client, read, 200, {**FILE, "type": "symlink"})
        with pytest.raises(errors.TooLarge, match="2 bytes"):
            await ask(server, client, read, 200, {**FILE, "encoding": "none", "content": ""})
        with pytest.raises(errors.UnexpectedResponse, match="not encoded"):
            await ask(server, client, read, 200, {**FILE, "content": "a"})


async def test_a_folder_is_listed_without_what_is_in_its_files() -> None:
    entry = {key: value for key, value in FILE.items() if key not in ("content", "encoding")}
    async with github_server() as (server, client):
        gh = client.installation(INSTALLATION)
        server.handler = respond_with([entry, {**entry, "type": "dir", "path": "a/c"}])
        assert [(one.type, one.path) for one in await gh.list_folder(R, "a")] == [("file", "a/b"), ("dir", "a/c")]
        server.handler = respond_with({"message": "Not Found"}, 404)
        assert await gh.list_folder(R, "a") == []
        server.handler = respond_with(FILE)
        with pytest.raises(errors.Invalid, match="a/b is a file"):
            await gh.list_folder(R, "a/b")


async def test_a_dispatch_may_or_may_not_name_its_run() -> None:
    async with github_server() as (server, client):
        start: Act = lambda gh: gh.dispatch_workflow(R, "agent.yml", ref="main")  # noqa: E731
        assert await ask(server, client, start, 204, None) is None
        made = await ask(server, client, start, 200, {"workflow_run_id": 5, "run_url": "u", "html_url": "h"})
    assert getattr(made, "workflow_run_id", None) == 5


@pytest.mark.parametrize(("status", "message"), [(405, "Pull Request is not mergeable"), (409, "Head changed")])
async def test_a_merge_that_is_refused_is_a_conflict(status: int, message: str) -> None:
    async with github_server() as (server, client):
        with pytest.raises(errors.Conflict, match=message):
            await ask(server, client, lambda gh: gh.merge_pull(R, 7, sha=SHA), status, {"message": message})


async def test_questions_that_cannot_be_asked() -> None:
    async with github_server() as (server, client):
        gh = client.installation(INSTALLATION)
        with pytest.raises(ValueError, match="comma"):
            await gh.list_issues(R, labels=["a,b"])
        with pytest.raises(ValueError, match="two dots"):
            await gh.compare(R, "main", "a...b")
    assert server.requests == []


async def test_what_a_handler_does_is_counted_by_operation() -> None:
    async with github_server() as (server, client):

        async def refuse(request: web.Request) -> web.Response:
            return web.json_response({"message": "Not Found"}, status=404)

        server.handler = refuse
        with pytest.raises(errors.NotFound):
            await client.installation(INSTALLATION).get_issue(R, 1)
    assert server.calls == [("apps/create-installation-access-token", 201), ("issues/get", 404)]
