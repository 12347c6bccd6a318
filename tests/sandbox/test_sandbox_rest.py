"""The rest of the API that an App may call: assignees, locks, labels, comments, histories, installations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox import ApiError
from sandbox.services import installations

if TYPE_CHECKING:
    from tests.sandbox.conftest import Stage

HOME = "/repos/acme/shop"


async def test_people_are_assigned(stage: Stage) -> None:
    hub, shop = stage.hub, stage.shop
    alice, bob = hub.user("alice"), hub.user("bob")
    hub.grant(shop, alice, "write")
    issue = await alice.opens_issue(shop, "Hello")
    url = f"{HOME}/issues/1/assignees"
    status, body, _ = await stage.call("POST", url, {"assignees": ["alice", "bob", "stranger"]})
    assert (status, [one["login"] for one in body["assignees"]]) == (201, ["alice"])
    assert (await stage.call("GET", f"{url}/alice"))[0] == 204
    assert (await stage.call("GET", f"{url}/bob"))[0] == 404
    assert [one["login"] for one in (await stage.call("GET", f"{HOME}/assignees"))[1]] == ["alice"]
    assert (await stage.call("GET", f"{HOME}/issues?assignee=alice"))[1][0]["number"] == 1
    assert (await stage.call("GET", f"{HOME}/issues?assignee=none"))[1] == []
    assert (await stage.call("PATCH", f"{HOME}/issues/1", {"assignees": ["bob"]}))[0] == 422
    assert (await stage.call("PATCH", f"{HOME}/issues/1", {"assignees": []}))[0] == 200
    assert issue.assignees == []
    hub.grant(shop, bob, "triage")
    await bob.assigns(issue, bob)
    assert (await stage.call("DELETE", url, {"assignees": ["bob"]}))[1]["assignees"] == []
    made = (await stage.call("POST", f"{HOME}/issues", {"title": "Two", "assignees": ["bob"], "labels": ["new"]}))[1]
    assert (made["assignee"]["login"], made["labels"][0]["color"]) == ("bob", "ededed")
    await hub.wait_until_idle()
    heard = [event for event in stage.events if event.startswith("issues.")]
    assert heard == [
        "issues.opened",
        "issues.assigned",
        "issues.unassigned",
        "issues.assigned",
        "issues.unassigned",
        "issues.opened",
        "issues.labeled",
        "issues.assigned",
    ]
    assert hub.violations == []


async def test_an_issue_can_be_edited(stage: Stage) -> None:
    hub, shop = stage.hub, stage.shop
    issue = await hub.user("alice").opens_issue(shop, "Hello", "Body")
    url = f"{HOME}/issues/1"
    change: dict[str, Any] = {"title": "Bye", "body": None, "labels": ["a", {"name": "b"}], "state": "closed"}
    body = (await stage.call("PATCH", url, change | {"state_reason": "not_planned"}))[1]
    assert (body["title"], body["body"], body["state_reason"]) == ("Bye", "", "not_planned")
    assert issue.label_names == ["a", "b"]
    assert (await stage.call("PATCH", url, {"state_reason": "duplicate", "state": "closed"}))[0] == 200
    assert issue.state_reason == "duplicate"
    assert (await stage.call("PATCH", url, {"state": "open"}))[1]["state_reason"] == "reopened"
    for wrong in ({"title": " "}, {"title": "x" * 257}, {"body": "x" * 65_537}):
        assert (await stage.call("PATCH", url, wrong))[0] == 422
    lines = (await stage.call("GET", f"{url}/events"))[1]
    assert [one["event"] for one in lines] == ["renamed", "labeled", "labeled", "closed", "reopened"]
    assert lines[0]["rename"] == {"from": "Hello", "to": "Bye"}
    assert (await stage.call("GET", f"{HOME}/issues/events/{lines[0]['id']}"))[1]["issue"]["number"] == 1
    assert len((await stage.call("GET", f"{HOME}/issues/events"))[1]) == 5
    assert (await stage.call("GET", f"{HOME}/issues/events/1"))[0] == 404
    since = "2026-03-02T09:00:01Z"
    assert (await stage.call("GET", f"{HOME}/issues?since={since}"))[1] == []
    assert (await stage.call("GET", f"{HOME}/issues?since=yesterday"))[0] == 422
    assert (await stage.call("GET", f"{HOME}/issues?sort=updated&direction=asc&creator=alice"))[1]
    assert hub.violations == []


async def test_a_locked_conversation_refuses_comments(stage: Stage) -> None:
    alice = stage.hub.user("alice")
    issue = await alice.opens_issue(stage.shop, "Hello")
    assert (await stage.call("PUT", f"{HOME}/issues/1/lock", {"lock_reason": "resolved"}))[0] == 204
    with pytest.raises(ApiError, match="locked"):
        await alice.comments(issue, "But")
    assert (await stage.call("POST", f"{HOME}/issues/1/comments", {"body": "I may"}))[0] == 201
    assert (await stage.call("DELETE", f"{HOME}/issues/1/lock"))[0] == 204
    await alice.comments(issue, "Thanks")
    await stage.hub.wait_until_idle()
    assert [event for event in stage.events if "lock" in event] == ["issues.locked", "issues.unlocked"]
    assert stage.hub.violations == []


async def test_a_label_is_created_edited_and_deleted(stage: Stage) -> None:
    hub, shop = stage.hub, stage.shop
    alice = hub.user("alice")
    hub.grant(shop, alice, "write")
    issue = await alice.opens_issue(shop, "Hello", labels=["bug"])
    url = f"{HOME}/labels"
    assert len((await stage.call("GET", url))[1]) == 9
    change = {"new_name": "defect", "color": "ABCDEF", "description": "Broken"}
    body = (await stage.call("PATCH", f"{url}/bug", change))[1]
    assert (body["name"], body["color"]) == ("defect", "abcdef")
    assert issue.label_names == ["defect"]
    assert (await stage.call("GET", f"{url}/bug"))[0] == 404
    assert (await stage.call("GET", f"{url}/DEFECT"))[1]["description"] == "Broken"
    assert (await stage.call("POST", url, {"name": "x" * 51}))[0] == 422
    assert (await stage.call("POST", url, {"name": "x", "description": "x" * 101}))[0] == 422
    assert (await stage.call("POST", url, {"color": "ffffff"}))[0] == 422
    assert (await stage.call("DELETE", f"{url}/defect"))[0] == 204
    assert issue.labels == []
    on = f"{HOME}/issues/1/labels"
    assert (await stage.call("POST", on, {"labels": ["a", "b"]}))[0] == 200
    assert [one["name"] for one in (await stage.call("GET", on))[1]] == ["a", "b"]
    assert [one["name"] for one in (await stage.call("DELETE", f"{on}/A"))[1]] == ["b"]
    assert (await stage.call("DELETE", f"{on}/a"))[1]["message"] == "Label does not exist"
    assert (await stage.call("DELETE", on))[0] == 204
    assert issue.labels == []
    await hub.wait_until_idle()
    assert [event for event in stage.events if event.startswith("label.")] == [
        "label.edited",
        "label.deleted",
        "label.created",
        "label.created",
    ]


async def test_comments_of_a_repository_are_listed(stage: Stage) -> None:
    hub, shop = stage.hub, stage.shop
    alice, bob = hub.user("alice"), hub.user("bob")
    issue = await alice.opens_issue(shop, "Hello")
    comment = await alice.comments(issue, "one")
    stage.clock.advance(60)
    await bob.comments(issue, "two")
    await alice.reacts(issue, "heart")
    listed = (await stage.call("GET", f"{HOME}/issues/1/comments?since=2026-03-02T09:01:00Z"))[1]
    assert [one["body"] for one in listed] == ["two"]
    every = (await stage.call("GET", f"{HOME}/issues/comments?sort=updated&direction=desc"))[1]
    assert [one["body"] for one in every] == ["two", "one"]
    url = f"{HOME}/issues/comments/{comment.id}"
    assert (await stage.call("GET", url))[1]["author_association"] == "NONE"
    token = hub.create_token(bob)
    assert (await stage.call("PATCH", url, {"body": "mine"}, token=token))[0] == 403
    assert (await stage.call("DELETE", url, token=token))[0] == 403
    with pytest.raises(ApiError, match="needs write"):
        await bob.edits_comment(comment, "mine")
    assert (await stage.call("DELETE", url, token=hub.create_token(alice)))[0] == 204
    assert (await stage.call("GET", url))[0] == 404
    assert (await stage.call("POST", f"{HOME}/issues/1/comments", {"body": "  "}))[0] == 422
    assert (await stage.call("GET", f"{HOME}/issues/1/reactions?content=heart"))[1][0]["user"]["login"] == "alice"
    theirs = issue.reactions[0].id
    assert (await stage.call("DELETE", f"{HOME}/issues/1/reactions/{theirs}"))[0] == 403
    assert (await stage.call("POST", f"{HOME}/issues/1/reactions", {"content": "rocket"}))[0] == 201
    assert (await stage.call("GET", f"{HOME}/issues/1"))[1]["reactions"]["total_count"] == 2
    await hub.wait_until_idle()
    assert stage.events[-1] == "issue_comment.deleted"
    assert hub.violations == []


async def test_sub_issues_can_be_moved(stage: Stage) -> None:
    alice = stage.hub.user("alice")
    stage.hub.grant(stage.shop, alice, "triage")
    parent, one, two = [await alice.opens_issue(stage.shop, name) for name in ("parent", "one", "two")]
    await alice.adds_sub_issue(parent, one)
    await alice.adds_sub_issue(parent, two)
    url = f"{HOME}/issues/1/sub_issues/priority"
    assert (await stage.call("PATCH", url, {"sub_issue_id": two.id, "before_id": one.id}))[0] == 200
    assert parent.sub_issues == [two, one]
    assert (await stage.call("PATCH", url, {"sub_issue_id": two.id, "after_id": two.id}))[0] == 422
    assert (await stage.call("DELETE", f"{HOME}/issues/1/sub_issue", {"sub_issue_id": one.id}))[0] == 200
    assert (await stage.call("GET", f"{HOME}/issues/2/parent"))[0] == 404
    summary = (await stage.call("GET", f"{HOME}/issues/1"))[1]["sub_issues_summary"]
    assert summary == {"total": 1, "completed": 0, "percent_completed": 0}
    await stage.hub.wait_until_idle()
    assert stage.hub.violations == []


async def test_an_installation_gains_and_loses_repositories_and_is_deleted(stage: Stage) -> None:
    hub, token = stage.hub, stage.jwt()
    books = hub.repository("acme/books", private=True)
    assert (await stage.call("GET", "/repos/acme/books"))[0] == 404
    installations.add_repositories(hub, stage.installation, [books])
    assert (await stage.call("GET", "/repos/acme/books"))[0] == 200
    url = f"/app/installations/{stage.installation.id}"
    narrow = {"repositories": ["books"], "permissions": {"issues": "write"}}
    made = (await stage.call("POST", f"{url}/access_tokens", narrow, token=token))[1]
    assert [one["name"] for one in made["repositories"]] == ["books"]
    # The shop is public: a token without access to it can only read it.
    assert (await stage.call("GET", HOME, token=made["token"]))[0] == 200
    assert (await stage.call("POST", f"{HOME}/labels", {"name": "x"}, token=made["token"]))[0] == 403
    assert (await stage.call("POST", f"{url}/access_tokens", {"repositories": ["x"]}, token=token))[0] == 422
    assert (await stage.call("DELETE", "/installation/token", token=made["token"]))[0] == 204
    assert (await stage.call("GET", "/repos/acme/books", token=made["token"]))[0] == 401
    installations.remove_repositories(hub, stage.installation, [books])
    stage.app.permissions["administration"] = "read"
    installations.accept_permissions(hub, stage.installation)
    assert (await stage.call("GET", url, token=token))[1]["permissions"]["administration"] == "read"
    assert len((await stage.call("GET", "/app/installations", token=token))[1]) == 1
    assert (await stage.call("DELETE", url, token=token))[0] == 204
    assert (await stage.call("GET", url, token=token))[0] == 404
    await hub.wait_until_idle()
    assert stage.events == [
        "installation.created",
        "installation_repositories.added",
        "installation_repositories.removed",
        "installation.new_permissions_accepted",
        "installation.deleted",
    ]
    assert hub.violations == []


async def test_the_webhook_configuration_can_be_changed(stage: Stage) -> None:
    token = stage.jwt()
    before = (await stage.call("GET", "/app/hook/config", token=token))[1]
    assert (before["url"], before["secret"]) == (stage.app.webhook_url, "********")
    change = {"secret": "another"}
    assert (await stage.call("PATCH", "/app/hook/config", change, token=token))[0] == 200
    assert stage.app.secret == "another"
    assert (await stage.call("GET", "/app/hook/deliveries/1", token=token))[0] == 404
    assert (await stage.call("GET", "/app/hook/deliveries?cursor=nonsense", token=token))[0] == 422
    assert (await stage.call("GET", "/app/hook/deliveries"))[0] == 401
    assert stage.hub.violations == []


async def test_an_administrator_manages_collaborators(stage: Stage) -> None:
    hub, shop = stage.hub, stage.shop
    boss = hub.user("boss")
    hub.user("carol")
    hub.grant(shop, boss, "admin")
    token, url = hub.create_token(boss), f"{HOME}/collaborators"
    assert (await stage.call("PUT", f"{url}/carol", {"permission": "triage"}, token=token))[0] == 204
    assert (await stage.call("PUT", f"{url}/dave", {"permission": "triage"}, token=token))[0] == 404
    people = (await stage.call("GET", url, token=token))[1]
    assert [(one["login"], one["role_name"]) for one in people] == [("boss", "admin"), ("carol", "triage")]
    assert (await stage.call("GET", f"{url}?permission=push", token=token))[1][0]["login"] == "boss"
    assert (await stage.call("DELETE", f"{url}/carol", token=token))[0] == 204
    assert (await stage.call("PUT", f"{url}/carol", {"permission": "push"}))[0] == 403
    assert not shop.is_collaborator(hub.user("carol"))
    assert hub.violations == []


async def test_an_app_with_pull_requests_only_may_not_touch_issues(stage: Stage) -> None:
    hub = stage.hub
    await hub.user("alice").opens_issue(stage.shop, "Hello")
    narrow = hub.create_installation_token(stage.installation, permissions={"pull_requests": "write"})
    body = {"body": "hi"}
    assert (await stage.call("POST", f"{HOME}/issues/1/comments", body, token=narrow))[0] == 403


async def test_an_app_is_created_from_its_manifest(stage: Stage) -> None:
    hub = stage.hub
    manifest = {
        "name": "My Robot",
        "url": "https://example.org",
        "hook_attributes": {"url": "http://127.0.0.1:9/webhook"},
        "default_permissions": {"issues": "write"},
        "default_events": ["issues"],
    }
    acme = hub.organisation("acme")
    with pytest.raises(ValueError, match="lacks url"):
        hub.confirm_manifest({"name": "x", "hook_attributes": {"url": "y"}}, acme)
    code = hub.confirm_manifest(manifest, acme)
    status, made, _ = await stage.call("POST", f"/app-manifests/{code}/conversions", token="")
    assert (status, made["slug"], made["owner"]["login"]) == (201, "my-robot", "acme")
    assert made["pem"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert made["webhook_secret"] == hub.apps["my-robot"].secret
    assert (await stage.call("POST", f"/app-manifests/{code}/conversions", token=""))[0] == 404
    late = hub.confirm_manifest(manifest | {"name": "Late"}, acme)
    stage.clock.advance(3600)
    assert (await stage.call("POST", f"/app-manifests/{late}/conversions", token=""))[0] == 404
    assert hub.violations == []
