"""Faults: lost and late webhooks, ambiguous responses, rate limits."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import TYPE_CHECKING

import aiohttp
import pytest

from sandbox import RateLimitSettings
from sandbox.faults.random import RandomFaults

if TYPE_CHECKING:
    from tests.sandbox.conftest import Stage

COMMENTS = "/repos/acme/shop/issues/1/comments"


async def test_a_failed_delivery_is_in_the_log_and_can_be_redelivered(stage: Stage) -> None:
    hub = stage.hub
    hub.faults.drop("issues", "opened")
    await hub.user("alice").opens_issue(stage.shop, "Hello")
    await hub.wait_until_idle()
    assert stage.events == ["installation.created"]
    token = stage.jwt()
    _, failed, _ = await stage.call("GET", "/app/hook/deliveries?status=failure", token=token)
    assert [(one["event"], one["status_code"]) for one in failed] == [("issues", 502)]
    _, whole, _ = await stage.call("GET", f"/app/hook/deliveries/{failed[0]['id']}", token=token)
    assert whole["request"]["payload"]["issue"]["title"] == "Hello"
    url = f"/app/hook/deliveries/{failed[0]['id']}/attempts"
    assert (await stage.call("POST", url, token=token))[0] == 202
    await hub.wait_until_idle()
    assert stage.events[-1] == "issues.opened"
    assert stage.deliveries[-1][0]["X-GitHub-Delivery"] == failed[0]["guid"]
    _, log, headers = await stage.call("GET", "/app/hook/deliveries?per_page=2", token=token)
    assert [(one["guid"] == failed[0]["guid"], one["redelivery"]) for one in log] == [(True, True), (True, False)]
    following = headers["Link"].split(";")[0].strip("<>")
    assert [one["event"] for one in (await stage.call("GET", following, token=token))[1]] == ["installation"]
    assert hub.violations == []


async def test_the_log_has_the_order_of_the_attempts_and_ends_after_three_days(stage: Stage) -> None:
    hub, alice = stage.hub, stage.hub.user("alice")
    hub.faults.delay("issues", "opened", seconds=60)
    issue = await alice.opens_issue(stage.shop, "Hello")
    await hub.wait_until_idle()
    stage.clock.advance(30)
    await alice.comments(issue, "Anybody?")
    await hub.wait_until_idle()
    stage.response_status = 302
    stage.clock.advance(30)
    await hub.wait_until_idle()

    async def log(query: str = "") -> list[str]:
        _, told, _ = await stage.call("GET", f"/app/hook/deliveries{query}", token=stage.jwt())
        return [f"{one['event']} {one['status_code']}" for one in told]

    assert await log() == ["issues 302", "issue_comment 202", "installation 202"]
    assert await log("?status=failure") == [], "GitHub sorts by the class of the code"
    old = hub.deliveries[0]
    stage.clock.advance(3 * 24 * 3600 - 45)
    assert await log() == ["issues 302", "issue_comment 202"]
    assert (await stage.call("POST", f"/app/hook/deliveries/{old.id}/attempts", token=stage.jwt()))[0] == 404


async def test_a_failed_delivery_is_not_retried(stage: Stage) -> None:
    stage.response_status = 500
    await stage.hub.user("alice").opens_issue(stage.shop, "Hello")
    await stage.hub.wait_until_idle()
    delivery = stage.hub.deliveries[-1]
    assert (delivery.status_code, delivery.is_delivered, delivery.attempts) == (500, False, 1)
    stage.response_status = 202
    again = await stage.hub.redeliver(delivery.guid)
    assert (again.status_code, again.is_delivered, again.attempts) == (202, True, 2)
    stage.app.webhook_url = "http://127.0.0.1:9/webhook"
    assert (await stage.hub.redeliver(delivery.guid)).status_code == 502


async def test_deliveries_can_be_duplicated_delayed_and_reordered(stage: Stage) -> None:
    hub, alice = stage.hub, stage.hub.user("alice")
    await hub.wait_until_idle()
    stage.deliveries.clear()
    hub.faults.duplicate("issues", "opened")
    issue = await alice.opens_issue(stage.shop, "Hello")
    await hub.wait_until_idle()
    assert stage.events == ["issues.opened", "issues.opened"]
    assert stage.deliveries[0][0]["X-GitHub-Delivery"] == stage.deliveries[1][0]["X-GitHub-Delivery"]
    hub.faults.delay("issue_comment", "created", seconds=30)
    comment = await alice.comments(issue, "one")
    await alice.edits_comment(comment, "two")
    await hub.wait_until_idle()
    assert stage.events[2:] == ["issue_comment.edited"]
    stage.clock.advance(30)
    await hub.wait_until_idle()
    assert stage.events[3:] == ["issue_comment.created"]
    hub.faults.reorder(2)
    await alice.closes(issue)
    await alice.reopens(issue)
    await hub.wait_until_idle()
    assert stage.events[4:] == ["issues.reopened", "issues.closed"]


async def test_ambiguous_responses_are_simulated(stage: Stage) -> None:
    hub = stage.hub
    issue = await hub.user("alice").opens_issue(stage.shop, "Hello")
    hub.faults.fail_response("issues/create-comment", "500-done")
    assert (await stage.call("POST", COMMENTS, {"body": "one"}))[0] == 500
    hub.faults.fail_response("issues/create-comment", "502-not-done")
    assert (await stage.call("POST", COMMENTS, {"body": "two"}))[0] == 502
    hub.faults.fail_response("issues/create-comment", "hang-done")
    with pytest.raises(aiohttp.ClientError):
        await stage.call("POST", COMMENTS, {"body": "three"})
    hub.faults.fail_response("issues/create-comment", "hang-not-done", seconds=20)
    waiting = asyncio.create_task(stage.call("POST", COMMENTS, {"body": "four"}))
    await stage.clock.wait_for_sleeper()
    stage.clock.advance(20)
    with pytest.raises(aiohttp.ClientError):
        await waiting
    assert [comment.body for comment in issue.comments] == ["one", "three"]
    hub.faults.fail_response("issues/get", "401-expired")
    assert (await stage.call("GET", "/repos/acme/shop/issues/1"))[0] == 401
    hub.faults.fail_response("issues/get", "403-secondary", seconds=7)
    status, _, headers = await stage.call("GET", "/repos/acme/shop/issues/1")
    assert (status, headers["Retry-After"]) == (403, "7")
    hub.faults.fail_response("issues/get", "429")
    assert (await stage.call("GET", "/repos/acme/shop/issues/1"))[0] == 429
    hub.faults.fail_response("issues/get", "301-moved")
    status, _, headers = await stage.call("GET", "/repos/acme/shop/issues/1")
    assert (status, (await stage.call("GET", headers["Location"]))[0]) == (301, 200)
    assert [one.status for one in hub.requests if one.operation_id == "issues/get"] == [401, 403, 429, 301, 200]
    with pytest.raises(ValueError, match="unknown fault"):
        hub.faults.fail_response("issues/get", "418")  # type: ignore[arg-type]
    assert hub.violations == []


async def test_the_hourly_limit(stage: Stage) -> None:
    stage.hub.limits.requests_per_hour = 2
    url = "/repos/acme/shop"
    token = stage.hub.create_installation_token(stage.installation)
    assert (await stage.call("GET", url, token=token))[2]["X-RateLimit-Remaining"] == "1"
    tag = (await stage.call("GET", "/repos/acme/shop/labels", token=token))[2]["ETag"]
    status, body, headers = await stage.call("GET", url, token=token)
    assert (status, headers["X-RateLimit-Remaining"]) == (403, "0")
    left = (await stage.call("GET", "/rate_limit", token=token))[1]["resources"]["core"]
    assert left["remaining"] == 0
    assert int(headers["X-RateLimit-Reset"]) == left["reset"]
    stage.clock.advance(3599)
    assert (await stage.call("GET", url, token=token))[0] == 403
    stage.hub.limits.requests_per_hour = 5000
    status, body, _ = await stage.call("GET", "/repos/acme/shop/labels", token=token, If_None_Match=tag)
    assert (status, body) == (304, None)
    assert stage.hub.violations == []


async def test_an_unchanged_etag_is_not_counted(stage: Stage) -> None:
    token = stage.hub.create_installation_token(stage.installation)
    url = "/repos/acme/shop/labels"
    first = (await stage.call("GET", url, token=token))[2]
    again = await stage.call("GET", url, token=token, If_None_Match=first["ETag"])
    assert again[0] == 304
    assert again[2]["X-RateLimit-Used"] == first["X-RateLimit-Used"] == "1"
    other = stage.hub.create_installation_token(stage.installation)
    assert (await stage.call("GET", url, token=other, If_None_Match=first["ETag"]))[0] == 200
    await stage.call("DELETE", url + "/bug", token=token)
    assert (await stage.call("GET", url, token=token, If_None_Match=first["ETag"]))[0] == 200


async def test_content_creation_is_limited_by_the_minute(stage: Stage) -> None:
    assert RateLimitSettings().content_per_minute == 80
    stage.hub.limits.content_per_minute = 2
    await stage.hub.user("alice").opens_issue(stage.shop, "Hello")
    statuses = [(await stage.call("POST", COMMENTS, {"body": "x"}))[0] for _ in range(3)]
    assert statuses == [201, 201, 403]
    stage.clock.advance(61)
    assert (await stage.call("POST", COMMENTS, {"body": "x"}))[0] == 201


async def test_malformed_requests_get_github_s_errors(stage: Stage) -> None:
    url = stage.hub.url + "/repos/acme/shop/issues"
    token = stage.hub.create_installation_token(stage.installation)
    async with stage.http.post(url, data=b"{", headers={"Authorization": f"Bearer {token}"}) as answer:
        assert (answer.status, (await answer.json())["message"]) == (400, "Problems parsing JSON")
    assert (await stage.call("POST", "/repos/acme/shop/issues", {"body": "no title"}))[0] == 422
    assert (await stage.call("POST", "/repos/acme/shop/issues", {"title": "x", "labels": "bug"}))[0] == 422
    assert (await stage.call("GET", "/repos/acme/shop/issues/one"))[0] == 404
    version = {"X_GitHub_Api_Version": "2022-11-28"}
    assert (await stage.call("GET", "/repos/acme/shop", **version))[0] == 200
    assert any("title" in one and "required" in one for one in stage.hub.violations)
    assert any("issue_number='one'" in one for one in stage.hub.violations)


async def test_the_same_seed_causes_the_same_random_faults(stage: Stage) -> None:
    hub, alice = stage.hub, stage.hub.user("alice")
    await hub.wait_until_idle()

    async def answered() -> int:
        try:
            return int((await stage.call("GET", "/app", token=stage.jwt()))[0])
        except aiohttp.ClientError:
            return 0

    async def storm() -> tuple[list[str], list[int], dict[str, int]]:
        stage.deliveries.clear()
        weather = hub.faults.random_faults = RandomFaults(
            Random(7), drop_rate=0.3, duplicate_rate=0.2, max_delay_seconds=30, error_rate=0.5
        )
        for number in range(20):
            await alice.opens_issue(stage.shop, f"Hello {number}")
        await hub.wait_until_idle()  # all are in progress
        stage.clock.advance(31)
        await hub.wait_until_idle()
        answers = [await answered() for _ in range(20)]
        hub.faults.clear()
        titles = [json.loads(payload)["issue"]["title"] for _, payload in stage.deliveries]
        return titles, answers, dict(weather.counts)

    titles, answers, counts = await storm()
    assert len(set(titles)) == 20 - counts["dropped"]
    assert len(titles) == len(set(titles)) + counts["repeated"]
    assert titles != sorted(titles, key=lambda title: int(title.split()[1])), "late ones are overtaken"
    assert 5 <= answers.count(200) <= 15
    assert set(answers) > {200, 403}
    assert await storm() == (titles, answers, counts)
    assert (await stage.call("GET", "/app", token=stage.jwt()))[0] == 200
