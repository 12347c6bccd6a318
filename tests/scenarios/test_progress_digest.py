"""The progress digest: one issue, rewritten when something changed, with boxes that are commands."""

from __future__ import annotations

from sqlalchemy import select

from adapters.database import tables as t
from bot.cli.digest import digest_markdown
from config.settings import load_settings
from core.audit.events import EventType
from sandbox.actors.agents import Crashes, WritesFiles
from sandbox.state.models import Issue
from tests.scenarios.shop import body, config
from tests.scenarios.world import World

HABITS = config(
    digest={"interval": "2h", "quiet_hours": "13:30-16:00 UTC"},
    merge={"auto": False},
    limits={"max_attempts": 1},
    escalation={"fallback": ["alice"], "timeout": "20h", "channels": ["log"]},
    timeouts={"stall": "20h", "attempt": "24h"},
)
RETRY, RESUME = "- [ ] retry #1", "- [ ] resume #5"


def digests(world: World) -> list[Issue]:
    return [issue for issue in world.shop.issues.values() if "orchestrator-digest" in issue.label_names]


def ticked(issue: Issue, box: str) -> str:
    told = issue.body or ""
    assert box in told
    return told.replace(box, box.replace("[ ]", "[x]"))


async def mentioned(world: World) -> list[str]:
    """The digest notifications that the channel has delivered."""
    c = t.outbox.c
    query = select(c.payload["text"].as_string()).where(c.kind == "Notify", c.channel.is_not(None), c.state == "done")
    async with world.bot.database.autocommit() as connection:
        rows = await connection.execute(query.where(c.key.startswith("notify:log:0:digest:")).order_by(c.id))
        return list(rows.scalars())


async def several(world: World) -> None:
    """Tasks that failed, are in review, wait for another one, and are held back."""
    await world.configures(HABITS)
    world.agent("codex", Crashes())
    world.agent("claude", WritesFiles({"shop/tax.py": "RATE = 0.19\n"}))
    await world.files("Add the tax @mallory", body(needs="tests"))
    await world.files("Write it up", body(needs="docs"))
    await world.files("Print it", body(needs="docs", depends_on="#2"))
    held = await world.alice.opens_issue(world.shop, "Sell it", body(needs="cobol"), labels=["task"])
    await world.says(held, "/pause legal has to agree")
    world.ignore_writes("only the outcome matters")


def _without_budget(page: str) -> list[str]:
    lines = page.splitlines()
    assert any(line.startswith("GitHub: ") and " requests left" in line for line in lines)
    return [line for line in lines if not line.startswith("GitHub: ")]


async def test_every_two_hours_if_something_changed(world: World) -> None:
    await several(world)
    world.hub.faults.fail_response("issues/create", "500-done")  # it is made, and the answer is lost
    await world.advance(hours=2)
    await world.advance(seconds=3)
    [issue] = digests(world)
    edited = f'#{issue.number} {{"body"'
    made, refused, again = world.written()
    assert (made, refused) == ("label orchestrator-digest", "issues/create  (refused: 500)")
    assert again.startswith(edited)
    told = issue.body or ""
    assert "**1 active · 2 blocked · 0 waiting · 1 failed**, as of 2026-03-02 11:00 UTC" in told
    assert "| #1 Add the tax @\u200bmallory | P2 | 🙋 failed: " in told
    assert '  n0["#35;2 Write it up"]:::active\n  n1["#35;4 Print it"]:::blocked\n  n0 --> n1\n' in told
    assert [event.type for event in await world.trail(issue)] == [EventType.PROGRESS_POSTED]
    line = "acme/shop: 1 active, 2 blocked, 0 waiting, 1 failed. Needs a person: #1."
    assert await mentioned(world) == [line]
    printed = await digest_markdown(load_settings(world.env, env_file=None), "acme/shop", world.bot.work.now())
    assert _without_budget(printed) == _without_budget(told)

    await world.advance(hours=2)
    assert world.written() == [], "nothing has changed, so nothing is written"
    assert await mentioned(world) == [line]

    # What falls into the quiet hours comes at their end.
    await world.says(world.shop.issues[4], "/priority P0")
    world.ignore_writes("the escalated priority")
    await world.advance(hours=2, minutes=30)
    assert world.written() == []
    await world.advance(minutes=30)
    [again] = world.written()
    assert again.startswith(edited)
    assert "| #4 Print it | P0 |" in (issue.body or "")
    assert "as of 2026-03-02 16:00 UTC" in (issue.body or "")
    assert digests(world) == [issue]
    assert await mentioned(world) == [line, line]


async def test_a_ticked_box_is_a_command_and_the_issue_no_task(world: World) -> None:
    await several(world)
    await world.advance(hours=2)
    world.ignore_writes("set-up")
    [issue] = digests(world)
    edited = f'#{issue.number} {{"body"'

    # Without write access it has no effect, and the edit is reverted.
    mallory = world.person("mallory", "triage")
    await mallory.edits_issue(issue, body=f"All is lost!\n{ticked(issue, RETRY)}")
    await world.settle()
    [again] = world.written()
    assert again.startswith(edited)
    assert RETRY in (issue.body or "")
    assert "All is lost" not in (issue.body or "")

    await world.alice.edits_issue(issue, body=ticked(issue, RESUME))
    await world.settle()
    *_, last = told_of = world.written()
    assert last.startswith(edited)
    assert [line for line in told_of if line.startswith("#5 ")] == ["#5 labels status:pending", "#5 card edited"]
    assert (await world.task(5)).hold is None
    assert RESUME not in (issue.body or "")
    assert RETRY in (issue.body or ""), "the others are still there, and empty"
    [resumed] = [event for event in await world.trail(world.shop.issues[5]) if event.payload.get("command") == "resume"]
    assert resumed.actor == "alice"

    assert len(await mentioned(world)) == 1, "no notification about an action taken here"

    # Nothing makes it a task.
    await world.alice.labels(issue, "task")
    await world.says(issue, "/task")
    await world.advance(minutes=15)
    reactions = world.written()
    assert reactions[0] == f"#{issue.number} reaction eyes"
    assert [line for line in reactions if "card" in line or "labels" in line] == []

    # Closed it is left alone, and opened again it is brought up to date.
    await world.alice.closes(issue)
    await world.alice.opens_issue(world.shop, "Sell more", "Soon.", labels=["task"])
    await world.settle()
    world.ignore_writes("the new tasks")
    await world.advance(hours=2)
    assert world.written() == []
    await world.alice.reopens(issue)
    await world.settle()
    [again] = world.written()
    assert again.startswith(edited)
    assert "Sell more" in (issue.body or "")
