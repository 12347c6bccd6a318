"""What comes to the endpoint that is no delivery of GitHub's, and what operators ask the bot."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from collections.abc import AsyncIterator, Mapping

import aiohttp
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from adapters.database import tables as t
from sandbox.actors.agents import WritesFiles
from tests.corpus import entries, entry_names, hostile_input
from tests.scenarios.shop import body
from tests.scenarios.world import SECRET, World, story_fixture
from tests.scenarios.writes import delivery_lines

GUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
MEGABYTE = 1024 * 1024


@story_fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client of no particular manners."""
    async with aiohttp.ClientSession() as session:
        yield session


def _sign(raw: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


async def _post(
    world: World,
    http: aiohttp.ClientSession,
    raw: bytes = b'{"action": "opened"}',
    headers: Mapping[str, str | None] | None = None,
    *,
    secret: str = SECRET,
) -> tuple[int, str]:
    """Post a delivery, rightly signed unless `headers` (None leaves one out) say otherwise; gives status and reason."""
    usual: dict[str, str | None] = {
        "Content-Type": "application/json",
        "X-GitHub-Delivery": GUID,
        "X-GitHub-Event": "issues",
        "X-Hub-Signature-256": _sign(raw, secret),
    }
    sent = {name: value for name, value in {**usual, **(headers or {})}.items() if value is not None}
    async with http.post(f"{world.address}/webhook", data=io.BytesIO(raw), headers=sent) as response:
        answer = await response.json()
        return response.status, answer.get("error") or answer["status"]


async def _stored(world: World) -> int:
    async with world.bot.database.transaction() as connection:
        query = select(func.count()).select_from(t.deliveries).where(t.deliveries.c.guid == GUID)
        return int((await connection.execute(query)).scalar_one())


BODY = b'{"action": "opened"}'
FORGED = {
    "{true}": _sign(BODY),
    "{CAPITALS}": _sign(BODY).upper(),
    "{bare}": _sign(BODY).removeprefix("sha256="),
    "{empty secret}": _sign(BODY, ""),
    "{sha1}": "sha1=" + hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest(),
}


async def test_what_is_no_delivery_is_refused_with_a_reason(world: World, http: aiohttp.ClientSession) -> None:
    for name in entry_names("headers"):
        headers = dict(hostile_input(name))
        for header, value in headers.items():
            for word, signature in FORGED.items():
                headers[header] = value = value and value.replace(word, signature)
        status, why = await _post(world, http, BODY, headers)
        assert (name, status) == (name, entries()[name]["status"])
        assert entries()[name]["says"] in why, name
        assert SECRET not in why
    assert await _stored(world) == 0


async def test_a_body_that_is_none_is_answered_with_a_reason(world: World, http: aiohttp.ClientSession) -> None:
    for name in entry_names("body"):
        status, why = await _post_entry(world, http, name)
        assert (name, status) == (name, entries()[name]["status"])
        assert entries()[name]["says"] in why, name
    assert await _stored(world) == 0


async def _post_entry(world: World, http: aiohttp.ClientSession, name: str, guid: str = GUID) -> tuple[int, str]:
    entry = entries()[name]
    raw = bytes.fromhex(entry["bytes"]) if "bytes" in entry else hostile_input(name).encode()
    return await _post(world, http, raw, {"X-GitHub-Event": entry.get("event", "issues"), "X-GitHub-Delivery": guid})


# By what a delivery of each event is taken, and not set aside.
TAKEN: dict[str, dict[str, object]] = {
    "issues": {"action": "opened"},
    "issue_comment": {"action": "created"},
    "pull_request": {"action": "opened"},
    "check_suite": {"action": "completed"},
    "workflow_run": {"workflow_run": {"event": "workflow_dispatch", "display_title": "task/1-1"}},
    "installation": {"action": "created"},
    "push": {},
}
OTHER_SHAPES: list[dict[str, object]] = [
    {},
    {"issue": 7, "comment": 7, "pull_request": 7, "check_suite": 7},
    {"issue": None, "comment": None, "pull_request": None, "repository": {"id": 1}, "installation": {"id": 1}},
    {"issue": {"number": "one"}, "comment": {"body": []}, "pull_request": {}, "check_suite": {}, "sender": "mallory"},
]


async def test_a_signed_delivery_of_another_shape_does_no_harm(world: World, http: aiohttp.ClientSession) -> None:
    for event, taken in TAKEN.items():
        for number, shape in enumerate(OTHER_SHAPES):
            headers = {"X-GitHub-Delivery": f"{event.replace('_', '-')}-{number}", "X-GitHub-Event": event}
            assert await _post(world, http, json.dumps({**shape, **taken}).encode(), headers) == (202, "accepted")
    for name in entry_names("odd body"):
        assert await _post_entry(world, http, name, name) == (entries()[name]["status"], entries()[name]["says"]), name
    await world.settle()
    for _ in range(6):
        await world.advance(minutes=10)
    assert world.written() == []
    world.agent("codex", WritesFiles({"a.txt": "a\n"}))
    await world.files("Add a file", body(needs="tests"))
    assert world.written() == delivery_lines(1, 2, "codex", card="card")


async def test_unsubscribed_events_are_ignored(world: World, http: aiohttp.ClientSession) -> None:
    assert await _post(world, http, headers={"X-GitHub-Event": "star"}) == (200, "ignored")
    assert await _post(world, http, headers={"X-GitHub-Event": "projects_v2_item"}) == (200, "ignored")
    assert await _post(world, http, headers={"X-GitHub-Event": "ping"}) == (200, "pong")
    assert await _stored(world) == 0


async def test_a_secret_is_rotated(world: World, http: aiohttp.ClientSession) -> None:
    """While both are valid, deliveries signed with either are taken; a third one never."""
    await world.stop()
    world.env = {**world.env, "GITHUB_WEBHOOK_SECRET": f"the-next-secret,{SECRET}"}
    await world.start()
    assert await _post(world, http) == (202, "accepted")
    other = {"X-GitHub-Delivery": GUID.replace("7", "8")}
    assert await _post(world, http, headers=other, secret="the-next-secret") == (202, "accepted")
    assert (await _post(world, http, secret="another"))[0] == 401


async def test_a_delivery_of_25_megabytes_is_taken_and_a_larger_one_refused(
    world: World, http: aiohttp.ClientSession
) -> None:
    frame = b'{"action": "opened", "x": "%s"}'
    large = frame % (b"x" * (25 * MEGABYTE - len(frame) + 2))
    assert len(large) == 25 * MEGABYTE
    assert await _post(world, http, large) == (202, "accepted")
    too_large = frame % (b"x" * (26 * MEGABYTE))
    status, why = await _post(world, http, too_large, {"X-GitHub-Delivery": "another"})
    assert (status, "larger than" in why) == (413, True)


async def test_the_same_guid_is_taken_once(world: World, http: aiohttp.ClientSession) -> None:
    assert await _post(world, http, b'{"action": "opened"}') == (202, "accepted")
    assert await _post(world, http, b'{"action": "closed"}') == (200, "already received")
    assert await _stored(world) == 1


async def test_what_operators_ask(world: World, http: aiohttp.ClientSession) -> None:
    world.agent("codex", WritesFiles({"a.txt": "a\n"}))
    await world.files("Add a file", body(needs="tests"))
    await world.advance(minutes=1)
    world.ignore_writes("set-up")
    async with http.get(f"{world.address}/healthz") as response:
        health = await response.json()
        assert response.status == 200
        assert health["status"] == "ok"
        assert len(health["build_sha"]) >= 7
        assert 60 <= health["uptime_seconds"] < 61
    async with http.get(f"{world.address}/readyz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ready"})
    async with http.get(f"{world.address}/metrics") as response:
        assert response.status == 200
        lines = (await response.text()).splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(values["assignment_latency_ms_count"]) == 1
    assert float(values["task_completion_rate"]) == 1
    for name in (
        "queue_depth",
        "active_tasks",
        "reassignments_total",
        "conflicts_total",
        "error_rate",
        "orchestrator_outbox_depth",
    ):
        assert float(values[name]) == 0, name
    for name in ("p95_assignment_latency_ms", "orchestrator_memory_usage_mb", "orchestrator_memory_limit_mb"):
        assert float(values[name]) > 0, name
    assert any(name.startswith("orchestrator_github_rate_limit_remaining{") for name in values)


async def test_the_age_of_the_last_sign_of_life(world: World, http: aiohttp.ClientSession) -> None:
    world.agent("codex", WritesFiles({"a.txt": "a\n"}), think_seconds=3600)
    await world.files("Add a file", body(needs="tests"))
    await world.advance(minutes=5)
    world.ignore_writes("set-up")
    async with http.get(f"{world.address}/metrics") as response:
        text = await response.text()
    [line] = [line for line in text.splitlines() if line.startswith("agent_heartbeat_age_seconds{")]
    assert 'agent="codex"' in line
    assert 'repository="acme/shop"' in line
    assert 300 <= float(line.rsplit(" ", 1)[1]) < 301


async def test_not_ready_without_the_database(world: World, http: aiohttp.ClientSession) -> None:
    database = world.bot.database
    reached = database.engine
    database.set_engine(_unreachable())
    try:
        async with http.get(f"{world.address}/readyz") as response:
            answer = await response.json()
            assert (response.status, answer["status"]) == (503, "not ready")
        async with http.get(f"{world.address}/healthz") as response:
            assert response.status == 200
        # GitHub is told that it was not kept, and can be asked for it again.
        async with http.post(
            f"{world.address}/webhook",
            data=b'{"action": "opened"}',
            headers={
                "Content-Type": "application/json",
                "X-GitHub-Delivery": GUID,
                "X-GitHub-Event": "issues",
                "X-Hub-Signature-256": _sign(b'{"action": "opened"}'),
            },
        ) as response:
            assert response.status >= 500
    finally:
        await database.engine.dispose()
        database.set_engine(reached)


def _unreachable() -> AsyncEngine:
    return create_async_engine("postgresql+psycopg://unknown@127.0.0.1:1/nothing")
