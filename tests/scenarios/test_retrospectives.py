"""Retrospectives: every three tasks one issue with true figures, and action items that become tasks."""

from __future__ import annotations

from config.identities import load_identities
from sandbox.actions.conclusion import Conclusion
from sandbox.agents import CloudAgent, WritesFiles
from sandbox.agents.cloud import CloudWork
from sandbox.agents.scripted import AgentWork
from sandbox.world import Issue
from tests.scenarios.shop import body, config
from tests.scenarios.world import World

CODEX = load_identities()["codex"]
BROKEN, FIXED = {"shop/tax.py": "RATE = 19\n"}, {"shop/tax.py": "RATE = 0.19\n"}
AGENTS = {
    "codex": {"adapter": "mention", "mention": "@codex", "capabilities": ["docs"]},
    "claude": {"adapter": "actions", "event": "agent-task", "capabilities": ["tests"]},
}
ANSWER = "The words for it.\n\n- [x] All of it <!-- orchestrator:action rework -->\n@alice"


async def speaks(work: AgentWork) -> None:
    """Writes the manual, and answers what it is asked."""
    if isinstance(work, CloudWork) and "a question for the retrospective" in work.said:
        await work.api("POST", f"/issues/{work.task}/comments", {"body": ANSWER})
    else:
        await WritesFiles({"MANUAL.md": "Tax is 19 %.\n"})(work)


def held_in(world: World) -> list[Issue]:
    return [issue for issue in world.shop.issues.values() if "retrospective" in issue.label_names]


async def test_three_tasks_make_one_and_its_action_becomes_a_task(world: World) -> None:
    """The answers to opening its issue and that of the task are lost, and both are there once."""
    await world.configures(config(agents=AGENTS))
    bot = world.hub.bot(CODEX.login, number=CODEX.id)
    world.hub.cloud["codex"] = CloudAgent(bot, speaks, "codex/manual-{run}", mention="@codex", think=240)
    world.agent("claude", WritesFiles(BROKEN, fixes=FIXED))
    ends = iter([Conclusion.failure(step="tests", job="test", seconds=600), Conclusion.success(seconds=600)])
    world.ci(lambda run: next(ends, Conclusion.success()))
    await world.files("Add the tax @mallory", body(needs="tests"))
    await world.later(minutes=10)
    await world.later(minutes=10)
    await world.files("Add the toll", body(needs="tests"))
    assert held_in(world) == []
    world.written()

    world.hub.faults.answer("issues/create", "500-done")
    await world.files("Write the manual", body(needs="docs"))
    await world.later(minutes=4)
    await world.later(seconds=3)
    await world.later(minutes=4)  # that codex thinks about its answer
    [issue] = held_in(world)
    number, told = issue.number, issue.body or ""
    *_, refused, asked, answered = world.written()
    assert refused == "issues/create  (refused: 500)"
    assert asked.startswith(f"#{number} comment: @codex a question for the retrospective above, no task")
    assert answered.startswith(f'#{number} {{"body"')
    assert issue.title == "Retrospective of 2026-03-02: 3 tasks done"
    assert "| **Attempts** | 4, of them 1 rework, 0 after a failover |" in told
    assert "| #1 Add the tax @\u200bmallory | 20 min | 20 min | 2 | 1 | 0 | 0 | claude |" in told
    assert "| `codex` | 1 | 1 | 1 | 0 | 0 | 0 | 4 min |" in told
    assert "```text\nThe words for it.\n\n- [x] All of it \n@alice\n```" in told, "what is hidden in it is gone"
    assert [event.type for event in await world.trail(issue)] == ["retrospective_held"]

    # Without write access words and ticks do nothing, nor does what was ticked when somebody else edits.
    mallory = world.person("mallory", "triage")
    await world.says(issue, ANSWER, by=mallory)
    box = "- [ ] Find out why work on #1 came back"
    ticked = told.replace(box, box.replace("[ ]", "[x]"))
    await mallory.edits_issue(issue, body=ticked)
    await world.settle()
    await world.alice.edits_issue(issue, body=f"Read this!\n\n{ticked}")
    await world.settle()
    assert world.written() == []
    assert len(world.shop.issues) == number

    await world.alice.edits_issue(issue, body=told)
    world.hub.faults.answer("issues/create", "500-done")
    await world.alice.edits_issue(issue, body=ticked)
    await world.settle()
    await world.later(seconds=3)
    made = world.shop.issues[number + 1]
    print(world.written())
    print(issue.body)
    print(made.body, made.labels)
    await world.later(minutes=10)

    await world.says(issue, "/retro")
    print(world.written())
    await world.says(issue, "/retro since 7d")
    print(world.written())
    await world.says(issue, "/retro answer claude It was cold. ")
    print(world.written())
    await world.says(issue, "/retro answer coded It was cold. ")
    print(world.written())
    print([i.title for i in held_in(world)])
