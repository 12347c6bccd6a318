"""Reviews, review comments and edits of pull requests over REST."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from tests.sandbox.sandbox_kit import api, open_sandbox

HOME = "/repos/acme/shop"
PULL = f"{HOME}/pulls/1"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with open_sandbox(tmp_path) as hub:
        shop, alice = hub.repository("acme/shop", files={"cart.py": "x = 1\n"}), hub.user("alice")
        for name in ("alice", "bob"):
            hub.grant(shop, hub.user(name), "write")
        app = hub.register_app(
            "ears",
            webhook_url="http://127.0.0.1:9/",
            permissions={"pull_requests": "write", "contents": "read"},
            events=["pull_request", "pull_request_review"],
        )
        await hub.install(app, hub.organisation("acme"), [shop])
        await alice.pushes(shop, "work", {"cart.py": "x = 2\n"})
        await alice.opens_pull(shop, head="work", title="Two")
        yield hub


@pytest.fixture
def alice(hub: Sandbox) -> str:
    return hub.create_token(hub.user("alice"))


@pytest.fixture
def bob(hub: Sandbox) -> str:
    return hub.create_token(hub.user("bob"))


async def test_a_pending_review_is_visible_only_to_its_author(hub: Sandbox, alice: str, bob: str) -> None:
    draft = await api(hub, bob, "POST", f"{PULL}/reviews", {"body": "Let me see"})
    assert (draft["state"], "submitted_at" in draft) == ("PENDING", False)
    one = f"{PULL}/reviews/{draft['id']}"
    await api(hub, alice, "GET", one, status=404)
    assert await api(hub, alice, "GET", f"{PULL}/reviews") == []
    await api(hub, bob, "PUT", one, {"body": "I have seen it"})
    hub.repository("acme/shop").required_approvals["main"] = 1
    await api(hub, alice, "PUT", f"{PULL}/merge", {}, status=405)
    await api(hub, bob, "DELETE", one)
    review = await api(hub, bob, "POST", f"{PULL}/reviews", {"event": "APPROVE"})
    assert (await api(hub, alice, "GET", f"{PULL}/reviews/{review['id']}"))["state"] == "APPROVED"
    await api(hub, bob, "DELETE", f"{PULL}/reviews/{review['id']}", status=422)
    gone = {"message": "Not after that push", "event": "DISMISS"}
    dismissed = await api(hub, alice, "PUT", f"{PULL}/reviews/{review['id']}/dismissals", gone)
    assert dismissed["state"] == "DISMISSED"
    assert hub.deliveries[-1].action == "dismissed"
    await api(hub, alice, "PUT", f"{PULL}/reviews/{review['id']}/dismissals", gone, status=422)


async def test_review_comments_can_be_edited_and_deleted(hub: Sandbox, alice: str, bob: str) -> None:
    sha = hub.repository("acme/shop").git.head("work")
    body = {"body": "Why two?", "path": "cart.py", "line": 1, "commit_id": sha}
    above = await api(hub, bob, "POST", f"{PULL}/comments", body, status=201)
    answer = await api(hub, alice, "POST", f"{PULL}/comments/{above['id']}/replies", {"body": "Why not"}, status=201)
    assert answer["in_reply_to_id"] == above["id"]
    one = f"{HOME}/pulls/comments/{answer['id']}"
    await api(hub, alice, "PATCH", one, {"body": "Because"})
    assert (await api(hub, bob, "GET", one))["body"] == "Because"
    assert len(await api(hub, bob, "GET", f"{HOME}/pulls/comments")) == 2
    await api(hub, hub.create_token(hub.user("mallory")), "DELETE", one, status=403)
    await api(hub, alice, "DELETE", one, status=204)
    await api(hub, alice, "GET", one, status=404)


async def test_reviews_can_be_requested(hub: Sandbox, alice: str) -> None:
    path = f"{PULL}/requested_reviewers"
    await api(hub, alice, "POST", path, {"reviewers": ["bob"]}, status=201)
    assert [one["login"] for one in (await api(hub, alice, "GET", path))["users"]] == ["bob"]
    for name in ("alice", "mallory", "stranger"):
        hub.user("mallory")
        await api(hub, alice, "POST", path, {"reviewers": [name]}, status=422)
    await api(hub, alice, "DELETE", path, {"reviewers": ["bob"]})
    actions = [one.action for one in hub.deliveries if one.event == "pull_request"]
    assert actions == ["opened", "review_requested", "review_request_removed"]


async def test_a_pull_request_changes_its_base_and_its_state(hub: Sandbox, alice: str) -> None:
    shop = hub.repository("acme/shop")
    await hub.user("alice").pushes(shop, "next", {"next.py": "1\n"})
    await hub.wait_until_idle()
    await api(hub, alice, "PATCH", PULL, {"base": "gone"}, status=422)
    shown = await api(hub, alice, "PATCH", PULL, {"base": "next", "body": "Now for the next one"})
    assert (shown["base"]["ref"], shown["mergeable"]) == ("next", None)
    assert set(hub.deliveries[-1].payload["changes"]) == {"base", "body"}
    await api(hub, alice, "PATCH", PULL, {"state": "closed"})
    assert [one["number"] for one in await api(hub, alice, "GET", f"{HOME}/pulls?state=closed&base=next")] == [1]
    await api(hub, alice, "PATCH", PULL, {"state": "open"})
    await hub.wait_until_idle()
    assert (await api(hub, alice, "GET", PULL))["mergeable"] is True
    stranger = hub.create_token(hub.user("mallory"))
    await api(hub, stranger, "PATCH", PULL, {"title": "Mine"}, status=404)


async def test_an_app_that_asks_for_too_little_is_refused(hub: Sandbox) -> None:
    shop = hub.repository("acme/shop")
    (installation,) = hub.installations_on(shop)
    token = hub.create_installation_token(installation)
    await api(hub, token, "GET", PULL)
    for method, path, body in (
        ("PUT", f"{PULL}/merge", {}),
        ("POST", f"{HOME}/dispatches", {"event_type": "x"}),
        ("GET", f"{HOME}/actions/runs", None),
    ):
        answer = await api(hub, token, method, path, body, status=403)
        assert answer["message"] == "Resource not accessible by integration"
