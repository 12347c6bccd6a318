"""People open and edit issues; the App receives what GitHub would send and answers over the REST API."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import pytest

from sandbox import ApiError

if TYPE_CHECKING:
    from tests.sandbox.conftest import Stage


async def test_a_task_is_worked_on_from_issue_to_close(stage: Stage) -> None:
    hub, shop = stage.hub, stage.shop
    alice = hub.user("alice")
    hub.grant(shop, alice, "write")
    issue = await alice.opens_issue(shop, "A bug", "It fails", labels=["bug", "nonsense"])
    comment = await alice.comments(issue, "/help")
    await alice.edits_comment(comment, "/status")
    await alice.labels(issue, "P0")
    await alice.unlabels(issue, "bug")
    await alice.edits_issue(issue, body="It fails always")
    await alice.closes(issue)
    await alice.reopens(issue)
    await hub.wait_until_idle()
    assert stage.events == [
        "installation.created",
        "issues.opened",
        "issues.labeled",
        "issue_comment.created",
        "issue_comment.edited",
        "label.created",
        "issues.labeled",
        "issues.unlabeled",
        "issues.edited",
        "issues.closed",
        "issues.reopened",
    ]
    assert issue.label_names == ["P0"]
    for headers, body in stage.deliveries:
        right = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
        assert headers["X-Hub-Signature-256"] == f"sha256={right}"
    status, got, headers = await stage.call("GET", "/repos/acme/shop/issues/1")
    assert (status, got["title"], got["body"]) == (200, "A bug", "It fails always")
    assert headers["X-RateLimit-Limit"] == "5000"
    stranger = hub.user("mallory")
    with pytest.raises(ApiError):
        await stranger.labels(issue, "P1")
    assert hub.violations == []


async def test_the_app_works_on_an_issue(stage: Stage) -> None:
    hub, shop = stage.hub, stage.shop
    alice = hub.user("alice")
    hub.grant(shop, alice, "write")
    issue = await alice.opens_issue(shop, "Cart is empty", "…", labels=["bug"])
    comment = await alice.comments(issue, "/claim")
    await hub.wait_until_idle()
    stage.deliveries.clear()

    status, label, _ = await stage.call(
        "POST", "/repos/acme/shop/labels", {"name": "status:ready", "color": "0E8A16", "description": "Go"}
    )
    assert (status, label["color"], label["default"]) == (201, "0e8a16", False)
    status, body, _ = await stage.call("POST", "/repos/acme/shop/labels", {"name": "Status:Ready", "color": "ff0000"})
    assert status == 422
    assert body["errors"] == [{"resource": "Label", "code": "already_exists", "field": "name"}]
    status, body, _ = await stage.call("POST", "/repos/acme/shop/labels", {"name": "x", "color": "red"})
    assert (status, body["errors"][0]["field"]) == (422, "color")

    put = {"labels": ["task", "STATUS:ready"]}
    status, body, _ = await stage.call("PUT", "/repos/acme/shop/issues/1/labels", put)
    assert [one["name"] for one in body] == ["task", "status:ready"]
    status, body, _ = await stage.call("PUT", "/repos/acme/shop/issues/1/labels", put)
    await hub.wait_until_idle()
    # One event for each label that was added or removed; none for a label that it had.
    assert stage.events == ["label.created", "label.created", "issues.unlabeled", "issues.labeled", "issues.labeled"]

    status, body, headers = await stage.call("POST", "/repos/acme/shop/issues/1/comments", {"body": "Card"})
    assert (status, body["user"]["login"], body["user"]["type"]) == (201, "bot[bot]", "Bot")
    assert body["performed_via_github_app"]["slug"] == "bot"
    assert headers["Location"] == body["url"]
    status, body, _ = await stage.call("PATCH", headers["Location"], {"body": "Card 2"})
    assert (status, body["body"]) == (200, "Card 2")
    long = {"body": "x" * 65_537}
    assert (await stage.call("POST", "/repos/acme/shop/issues/1/comments", long))[0] == 422

    reactions = f"/repos/acme/shop/issues/comments/{comment.id}/reactions"
    assert (await stage.call("POST", reactions, {"content": "eyes"}))[0] == 201
    assert (await stage.call("POST", reactions, {"content": "eyes"}))[0] == 200
    assert comment.reaction_names == ["eyes"]
    status, listed, _ = await stage.call("GET", reactions)
    assert (await stage.call("DELETE", f"{reactions}/{listed[0]['id']}"))[0] == 204
    assert comment.reactions == []

    status, body, _ = await stage.call(
        "PATCH", "/repos/acme/shop/issues/1", {"state": "closed", "state_reason": "completed"}
    )
    assert (status, body["state"], body["closed_by"]["login"]) == (200, "closed", "bot[bot]")
    assert (await stage.call("GET", "/repos/acme/shop/issues"))[1] == []
    assert len((await stage.call("GET", "/repos/acme/shop/issues?state=all&labels=task"))[1]) == 1
    assert (await stage.call("GET", "/repos/acme/shop/issues/9"))[0] == 404
    assert hub.violations == []


async def test_dependencies_and_sub_issues_use_database_ids(stage: Stage) -> None:
    hub, shop = stage.hub, stage.shop
    alice = hub.user("alice")
    one, two, three = [await alice.opens_issue(shop, title) for title in ("one", "two", "three")]
    url = "/repos/acme/shop/issues/2/dependencies/blocked_by"
    assert (await stage.call("POST", url, {"issue_id": 1}))[0] == 404
    status, body, _ = await stage.call("POST", url, {"issue_id": one.id})
    assert (status, body["issue_dependencies_summary"]["blocked_by"]) == (201, 1)
    assert (await stage.call("POST", url, {"issue_id": one.id}))[0] == 422
    assert [item["number"] for item in (await stage.call("GET", url))[1]] == [1]
    assert (await stage.call("DELETE", f"{url}/{one.id}"))[0] == 200
    status, body, _ = await stage.call("POST", "/repos/acme/shop/issues/1/sub_issues", {"sub_issue_id": three.id})
    assert status == 201
    assert (await stage.call("GET", "/repos/acme/shop/issues/3/parent"))[1]["number"] == 1
    circle = {"sub_issue_id": one.id}
    assert (await stage.call("POST", "/repos/acme/shop/issues/3/sub_issues", circle))[0] == 422
    assert (await stage.call("GET", "/repos/acme/shop/issues/1/sub_issues"))[1][0]["title"] == "three"
    await alice.comments(two, "hello")
    status, lines, _ = await stage.call("GET", "/repos/acme/shop/issues/2/timeline")
    assert [line["event"] for line in lines] == ["blocked_by_added", "blocked_by_removed", "commented"]
    await hub.wait_until_idle()
    assert "issue_dependencies.blocked_by_added" in stage.events
    assert "sub_issues.sub_issue_added" in stage.events
    assert hub.violations == []


async def test_lists_come_in_pages(stage: Stage) -> None:
    alice = stage.hub.user("alice")
    for number in range(5):
        await alice.opens_issue(stage.shop, f"Number {number}")
    _, body, headers = await stage.call("GET", "/repos/acme/shop/issues?per_page=2&page=2&direction=asc")
    assert [one["number"] for one in body] == [3, 4]
    links = headers["Link"]
    assert all(f'rel="{name}"' in links for name in ("next", "last", "first", "prev"))
    following = next(part for part in links.split(", ") if 'rel="next"' in part).split(";")[0].strip("<>")
    assert [one["number"] for one in (await stage.call("GET", following))[1]] == [5]
    assert stage.hub.violations == []


async def test_search_by_qualifiers(stage: Stage) -> None:
    hub, shop = stage.hub, stage.shop
    alice = hub.user("alice")
    hub.grant(shop, alice, "write")
    first = await alice.opens_issue(shop, "Cart total is wrong", "sum", labels=["bug"])
    await alice.opens_issue(shop, "Add a wish list", labels=["enhancement"])
    await alice.closes(first)
    query = 'repo:acme/shop is:issue is:closed label:"bug" cart'
    status, body, _ = await stage.call("GET", "/search/issues?q=" + query.replace(" ", "+"))
    assert (status, body["total_count"], body["items"][0]["number"]) == (200, 1, 1)
    assert (await stage.call("GET", "/search/issues?q=repo:acme/shop+-label:bug"))[1]["total_count"] == 1
    assert (await stage.call("GET", "/search/issues?q=created:%3E%3D2026-03-02"))[1]["total_count"] == 2
    assert (await stage.call("GET", "/search/issues?q=flavour:sweet"))[0] == 422
    assert hub.violations == []
