"""A task is stalled: its agent is told, another one gets it, a person is called; and progress ends all that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from adapters.database import attempts
from core.assignment.stats import MIN_OBSERVATIONS, AttemptRecord
from core.task.model import Role
from sandbox.actors.agents import AgentWork, Stalls, WritesFiles
from tests.scenarios.shop import FILES, body, config
from tests.scenarios.world import START, World
from tests.scenarios.writes import merge_lines, review_lines

TAX = {"shop/tax.py": "RATE = 0.19\n"}
WORKS = {"capabilities": ["python"]}


async def pushes_after_an_hour(work: AgentWork) -> None:
    """It is at work for 70 minutes before it pushes anything, and then goes on for ever."""
    await work.clone()
    await work.think(70 * 60)
    await work.commit("A beginning")
    await work.push()
    await work.stall()


async def test_a_slow_agent_is_nudged_then_replaced_then_a_person_is_called_and_progress_ends_it(world: World) -> None:
    """Both agents live all the time: the service says so when it is asked, the run is in progress."""
    services = await world.services()
    agents = {
        "cursor": {"adapter": "http", "preset": "cursor", **WORKS},
        "zed": {"adapter": "actions", "workflow": "agent.yml", **WORKS},
    }
    await world.configures(config(agents=agents))
    cursor = services.agent("cursor", Stalls(), key="cursor-key")
    zed = world.agent("zed", WritesFiles(TAX), think_seconds=3.5 * 3600)
    issue = await world.files("Add the tax rate", body(needs="python"))
    assert world.written() == ["label agent:cursor", "#1 labels status:in-progress", "#1 card"]
    await world.advance(minutes=1)  # it is asked how it goes, and has begun

    await world.advance(hours=2)
    assert world.written() == ["#1 labels status:in-progress", "#1 card edited"]
    assert "stalled" in issue.label_names
    [nudge] = cursor.sessions[0].followups
    assert "you have pushed nothing to `task/1-1` since 2026-03-02 09:01 UTC" in nudge
    assert (
        "- `stalled`: `cursor` is running but has pushed nothing. The bot reminded `cursor`. "
        "At 2026-03-02 12:01 UTC the bot gives it to another agent if one is free, unless there is progress before."
    ) in world.card(issue)

    await world.advance(hours=1)
    assert world.written() == [
        "dispatch task/1-2 to zed",
        "#1 comment: cursor made no progress",
        "label agent:zed",
        "#1 labels status:in-progress",
        "#1 card edited",
        "#1 card edited",  # with the address of its run
    ]
    [work] = zed.work_items
    assert work.packet["feedback"]["title"] == "cursor made no progress"
    assert "has pushed nothing. There has been no progress for 3 h." in work.packet["feedback"]["details"]
    assert "stalled" not in issue.label_names

    await world.advance(hours=2)
    assert world.written() == ["#1 labels status:in-progress", "#1 card edited"]
    assert "`zed` cannot receive messages while it runs, so no reminder was sent." in world.card(issue)
    await world.advance(hours=1)
    assert world.written() == [
        "#1 comment: @alice **this task needs a person.**",
        "#1 assigned to alice",
        "#1 labels status:in-progress",
        "#1 card edited",
    ]
    [call] = [text for text in world.comments(issue) if "this task needs a person" in text]
    assert "- attempt 1 by `cursor`: cursor made no progress" in call
    assert "- No other agent is free, so the bot did not reassign the task." in call
    assert not zed.work_items[0].job.run.conclusion, "it is left at work"
    await world.says(issue, "/ack")
    world.ignore_writes("the answer to /ack")

    await world.advance(minutes=31)
    assert world.status(issue) == "done"
    assert world.written() == ["check conflict-first: success", *merge_lines(1, 2)]
    events = await world.events(issue)
    assert [e for e in events if "stall" in e] == [
        *("task_stalled", "stall_step_taken", "stall_step_taken", "stall_ended"),
        *("task_stalled", "stall_step_taken", "stall_step_taken", "stall_step_taken", "stall_ended"),
    ]
    assert "agent_failed" not in events
    assert events.count("escalation_ended") == 1


async def test_what_is_urgent_is_found_sooner_and_a_push_is_progress(world: World) -> None:
    codex = world.agent("codex", pushes_after_an_hour)
    urgent = await world.files("Fix the login", body(needs="tests", priority="P0"))
    codex.script = Stalls()
    other = await world.files("Add the tax rate", body("A tax.", needs="tests"))
    world.ignore_writes("set-up")

    await world.advance(hours=1)
    assert ("stalled" in urgent.label_names, "stalled" in other.label_names) == (True, False)
    assert world.written() == ["#1 labels status:in-progress", "#1 card edited"]
    page = (await world.bot.metrics.render(world.bot.database, world.clock.now())).decode()
    assert 'orchestrator_stalled_tasks{cause="no push"} 1.0' in page
    await world.says(urgent, "/explain")
    said = world.comments(urgent)[-1]
    assert "`codex` is running but has pushed nothing." in said
    assert "It counts as stalled after 1 h without progress (1 h for a P0)." in said
    world.ignore_writes("the answer to /explain")

    await world.advance(minutes=10)
    assert world.written() == ["#1 labels status:in-progress", "#1 card edited"], "it pushed, and all is well"
    assert "stalled" not in urgent.label_names
    assert (await world.task(urgent)).stall is None

    await world.advance(minutes=50)
    assert ("stalled" in urgent.label_names, "stalled" in other.label_names) == (False, True)
    world.ignore_writes("the stall of the other task")


async def test_a_missing_review_is_requested_by_name(world: World) -> None:
    await world.configures(config(merge={"auto": True, "review": "person"}))
    world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert world.written()[-4:] == review_lines(1, "check definition-of-done: action_required")

    await world.advance(hours=2)
    assert world.written() == [
        "#2 comment: @alice **this task waits for you.**",
        "#1 labels status:review",
        "#1 card edited",
    ]
    assert "`stalled`: #2 waits for a review by `alice`. The bot notified `alice`. At " in world.card(issue)
    await world.alice.comments(world.pull.issue, "I am on it after lunch.")
    await world.settle()
    assert world.written() == ["#1 card edited"], "who answers has as much time again"
    await world.advance(hours=1)
    assert world.written() == []
    await world.advance(hours=1)
    assert world.written() == [
        "#1 comment: @alice **this task needs a person.**",
        "#1 assigned to alice",
        "#1 labels status:review",
        "#1 card edited",
    ]
    await world.alice.reviews(world.pull, "APPROVE")
    await world.settle()
    assert world.status(issue) == "done"
    assert not {"stalled", "needs-human"} & set(issue.label_names)
    assert world.written() == ["check updated: success", *merge_lines(1, 2)]


async def test_ci_without_a_runner_and_a_check_that_never_ran_are_distinguished(world: World) -> None:
    """GitHub queues a job for which no runner is online, and refuses a merge without a check that is required."""
    ci = FILES[".github/workflows/ci.yml"].replace("ubuntu-latest", "[self-hosted, gpu]")
    await world.alice.pushes(world.shop, "main", {".github/workflows/ci.yml": ci}, "Test on our own machine")
    world.shop.required_checks["main"] = ["e2e"]
    world.hub.offline_labels.add("gpu")
    world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")

    await world.advance(hours=2)
    assert world.written() == ["#1 labels status:review", "#1 card edited"]
    assert "`stalled`: The checks of #2 are queued, but no runner has started one." in world.card(issue)
    await world.advance(hours=1)
    assert "#1 comment: @alice **this task needs a person.**" in world.written()
    assert "is a runner online" in world.comments(issue)[-1]

    world.hub.bring_runner_online("gpu")
    await world.settle()
    assert not {"stalled", "needs-human"} & set(issue.label_names), "the checks ended"
    assert "merge #2 (refused: 405)" in world.written()
    await world.advance(hours=2)
    assert 'needs a check that never started. GitHub did not merge #2: Required status check "e2e"' in world.card(issue)
    world.ignore_writes("the refused merge")
    await world.advance(hours=1)
    assert "#1 comment: @alice **this task needs a person.**" in world.written()


async def test_a_repository_whose_agents_take_long_is_given_long(world: World) -> None:
    """All its attempts took four hours, so that six are no reason to worry."""
    began = START - timedelta(days=3)
    slow = AttemptRecord(100, 1, "codex", Role.IMPLEMENT, ("tests",), began, pull_opened_at=began + timedelta(hours=4))
    async with world.bot.database.transaction() as connection:
        rows = [replace(slow, task=100 + n) for n in range(MIN_OBSERVATIONS)]
        await attempts.save(connection, world.shop.id, rows)
    world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert "| **Time limits** | 6 h without progress (learned from this repository's attempts) |" in world.card(issue)
    world.ignore_writes("set-up")
    await world.advance(hours=5)
    assert world.written() == []
    await world.advance(hours=1)
    assert world.written() == ["#1 labels status:in-progress", "#1 card edited"]
    assert "stalled" in issue.label_names
