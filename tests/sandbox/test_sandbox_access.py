"""Access: JWTs, tokens that expire, permissions of Apps, roles of people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt
import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import Stage


async def test_an_app_becomes_an_installation(stage: Stage) -> None:
    token = stage.jwt()
    status, app, _ = await stage.call("GET", "/app", token=token)
    assert (status, app["slug"], app["installations_count"]) == (200, "bot", 1)
    _, found, _ = await stage.call("GET", "/repos/acme/shop/installation", token=token)
    assert found["id"] == stage.installation.id
    url = f"/app/installations/{stage.installation.id}/access_tokens"
    status, made, _ = await stage.call("POST", url, {"permissions": {"issues": "read"}}, token=token)
    assert (status, made["expires_at"]) == (201, "2026-03-02T10:00:00Z")
    narrow = made["token"]
    assert (await stage.call("GET", "/repos/acme/shop/issues", token=narrow))[0] == 200
    status, body, _ = await stage.call("POST", "/repos/acme/shop/issues", {"title": "x"}, token=narrow)
    assert (status, body["message"]) == (403, "Resource not accessible by integration")
    assert (await stage.call("POST", url, {"permissions": {"members": "read"}}, token=token))[0] == 422
    status, body, _ = await stage.call("GET", "/installation/repositories", token=narrow)
    assert [one["full_name"] for one in body["repositories"]] == ["acme/shop"]
    stage.clock.advance(3600)
    status, body, _ = await stage.call("GET", "/repos/acme/shop/issues", token=narrow)
    assert (status, body["message"]) == (401, "Bad credentials")
    assert stage.hub.violations == []


@pytest.mark.parametrize(
    ("issued", "expires", "fine"), [(-60, 540, True), (-60, 700, False), (300, 540, False), (-700, -10, False)]
)
async def test_a_jwt_is_valid_for_at_most_ten_minutes(stage: Stage, issued: int, expires: int, fine: bool) -> None:
    now = int(stage.hub.now().timestamp())
    claims = {"iat": now + issued, "exp": now + expires, "iss": stage.app.client_id}
    token = jwt.encode(claims, stage.app.private_key, algorithm="RS256")
    assert (await stage.call("GET", "/app", token=token))[0] == (200 if fine else 401)


async def test_a_jwt_of_another_key_is_refused(stage: Stage) -> None:
    other = stage.hub.register_app("other", permissions={"issues": "read"})
    now = int(stage.hub.now().timestamp())
    claims = {"iat": now, "exp": now + 60, "iss": str(stage.app.id)}
    forged = jwt.encode(claims, other.private_key, algorithm="RS256")
    assert (await stage.call("GET", "/app", token=forged))[0] == 401
    assert (await stage.call("GET", "/app", token="ghp_nothing"))[0] == 401
    assert (await stage.call("GET", "/app", token=""))[0] == 401


async def test_strangers_cannot_see_private_repositories(stage: Stage) -> None:
    hub = stage.hub
    secret = hub.repository("acme/secret", private=True)
    alice, mallory = hub.user("alice"), hub.user("mallory")
    hub.grant(secret, alice, "triage")
    assert (await stage.call("GET", "/repos/acme/secret", token=hub.create_token(mallory)))[0] == 404
    assert (await stage.call("GET", "/repos/acme/secret"))[0] == 404
    assert (await stage.call("GET", "/repos/acme/secret", token=hub.create_token(alice)))[0] == 200
    issue = await alice.opens_issue(stage.shop, "Hello")
    token = hub.create_token(mallory)
    body = {"labels": ["bug"]}
    assert (await stage.call("POST", "/repos/acme/shop/issues/1/labels", body, token=token))[0] == 403
    assert (await stage.call("POST", "/repos/acme/shop/issues/1/comments", {"body": "hi"}, token=token))[0] == 201
    assert (await stage.call("PATCH", "/repos/acme/shop/issues/1", {"title": "Mine"}, token=token))[0] == 403
    assert issue.title == "Hello"


async def test_permission_levels_carry_the_numeric_id(stage: Stage) -> None:
    hub = stage.hub
    alice = hub.user("alice")
    hub.grant(stage.shop, alice, "maintain")
    level = "/repos/acme/shop/collaborators/{}/permission"
    _, body, _ = await stage.call("GET", level.format("Alice"))
    assert (body["permission"], body["role_name"], body["user"]["id"]) == ("write", "maintain", alice.id)
    hub.user("mallory")
    assert (await stage.call("GET", level.format("mallory")))[1]["role_name"] == "read"  # it is public
    assert (await stage.call("GET", level.format("stranger")))[0] == 404
    assert (await stage.call("GET", level.format("bot%5Bbot%5D")))[0] == 404
    assert (await stage.call("GET", "/repos/acme/shop/collaborators/alice"))[0] == 204
    assert (await stage.call("GET", "/repos/acme/shop/collaborators/mallory"))[0] == 404
    assert hub.violations == []


async def test_a_renamed_repository_answers_301(stage: Stage) -> None:
    await stage.hub.user("alice").opens_issue(stage.shop, "Hello")
    stage.hub.rename(stage.shop, "store")
    status, body, headers = await stage.call("GET", "/repos/acme/shop/issues/1")
    assert (status, body["message"]) == (301, "Moved Permanently")
    status, body, _ = await stage.call("GET", headers["Location"])
    assert (status, body["repository_url"]) == (200, f"{stage.hub.url}/repos/acme/store")
    _, _, headers = await stage.call("GET", "/repos/acme/shop/issues?state=closed")
    assert (await stage.call("GET", headers["Location"]))[1] == [], "what was asked is asked there"


async def test_a_suspended_installation_cannot_act_and_gets_no_webhooks(stage: Stage) -> None:
    token = stage.jwt()
    url = f"/app/installations/{stage.installation.id}/suspended"
    assert (await stage.call("PUT", url, token=token))[0] == 204
    assert (await stage.call("GET", "/repos/acme/shop"))[0] == 403
    await stage.hub.user("alice").opens_issue(stage.shop, "Hello")
    assert (await stage.call("DELETE", url, token=token))[0] == 204
    assert (await stage.call("GET", "/repos/acme/shop"))[0] == 200
    await stage.hub.wait_until_idle()
    assert stage.events == ["installation.created", "installation.suspend", "installation.unsuspend"]
    assert stage.hub.violations == []


def test_an_app_needs_the_permission_of_the_events_it_subscribes_to() -> None:
    from sandbox.services.subscriptions import check_subscriptions

    with pytest.raises(ValueError, match="pull_requests: read"):
        check_subscriptions({"issues": "write"}, ["pull_request"])
    with pytest.raises(ValueError, match="cannot subscribe to 'pushes'"):
        check_subscriptions({"contents": "read"}, ["pushes"])
    check_subscriptions({"pull_requests": "read"}, ["issue_comment"])


async def test_users_and_metadata_are_served(stage: Stage) -> None:
    alice = stage.hub.user("alice", name="Alice", email="alice@example.org")
    token = stage.hub.create_token(alice)
    assert (await stage.call("GET", "/user", token=token))[1]["login"] == "alice"
    assert (await stage.call("GET", "/user"))[0] == 403
    status, body, _ = await stage.call("GET", "/users/bot%5Bbot%5D")
    assert (body["type"], body["id"]) == ("Bot", stage.app.bot.id)
    assert (await stage.call("GET", "/meta"))[0] == 200
    assert (await stage.call("GET", "/apps/github-actions"))[1]["id"] == 15_368
    status, body, _ = await stage.call("GET", "/repos/acme/shop", token=token)
    assert body["permissions"]["pull"] is True
    status, body, _ = await stage.call("GET", "/repos/acme/shop/nonsense")
    assert (status, body["message"], body["status"]) == (404, "Not Found", "404")
    assert stage.hub.violations == ["GET /repos/acme/shop/nonsense: GitHub describes no such operation"]
