"""`/agents`: the table, and agents added, changed, drained and removed while the bot runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.assignment.agent_state import AgentRecord, HealthResult, StateChangeKind, agent_availability
from core.assignment.rules import Agent
from core.audit.events import EventType
from core.circuit_breaker import CircuitBreaker
from core.effects.base import AddReaction, Comment
from tests.builders import ALICE, MALLORY, NOW, Story, agent

ADD = "/agents add grace adapter=actions workflow=agent.yml capabilities=cobol,tests max_tasks=2"


def refused(story: Story) -> str:
    """The words of the refusal; nothing may have changed."""
    assert story.last_decision.events == ()
    assert not story.last_decision.team_changes
    assert all(isinstance(effect, Comment | AddReaction) for effect in story.last_decision.effects)
    return story.comment_text()


def row(story: Story, name: str) -> str:
    """The agent's line in the table."""
    story.run_command("/agents", author=MALLORY, role="none")
    (line,) = [line for line in story.comment_text().splitlines() if line.startswith(f"| `{name}`")]
    return line


def test_what_adapters_said_is_shown_with_its_time() -> None:
    story = Story().file_ready_task()
    there = {
        "codex": HealthResult((), NOW),
        "claude": HealthResult(("There is no `agent.yml` on `main`, @all.", "Nor a key."), NOW),
    }
    story.run_command("/agents", author=MALLORY, role="none", health=there)
    assert "Problems that prevent a start, as of 2026-03-02 09:00 UTC:" in story.comment_text()
    assert "- `claude`: There is no `agent.yml` on `main`, @\u200ball. Nor a key." in story.comment_text()
    assert "- `codex`" not in story.comment_text()
    assert "is unknown" not in story.comment_text()
    story.run_command("/agents", health={"codex": HealthResult((), NOW)})
    assert "UTC: none." in story.comment_text()
    assert "The state of the other agents is unknown" in story.comment_text()


def test_anybody_sees_the_agents_where_no_task_is() -> None:
    story = Story()
    story.agents = (agent("codex", active_tasks=1), agent("claude", unavailable_reason="offline since 09:00 | @all"))
    story.held_task_counts = {"codex": 1}
    assert row(story, "codex") == "| `codex` | actions | `python`, `tests` | 1 of 1 | busy | file |"
    assert "@all" not in row(story, "claude")
    assert story.current_task is None


def test_an_added_agent_is_there_with_its_settings() -> None:
    story = Story()
    story.run_command(ADD)
    assert story.comment_text() == "`grace` is there (actions), with `cobol`, `tests`; it may hold 2 at once."
    (event,) = story.last_decision.events
    assert (event.type, event.agent, event.actor) == (EventType.AGENT_REGISTERED, "grace", "alice")
    assert event.payload["settings"]["capabilities"] == ["cobol", "tests"]
    assert story.context.team.agents["grace"].max_tasks == 2
    assert row(story, "grace") == (
        "| `grace` | actions | `cobol`, `tests` | 0 of 2 | available | run time, by alice (2026-03-02 09:01 UTC) |"
    )


def test_on_a_task_it_is_a_command_like_any_other() -> None:
    story = Story().file_ready_task()
    story.run_command(ADD)
    assert [event.type for event in story.last_decision.events] == [EventType.COMMAND_RUN, EventType.AGENT_REGISTERED]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("add grace adapter=pull max_taks=2", "unknown key `max_taks`; did you mean `max_tasks`?"),
        ("add grace adapter=action workflow=agent.yml", "not `action`; did you mean `actions`?"),
        ("add grace workflow=agent.yml", "the key `adapter` is missing; add one of `actions`"),
        ("add grace adapter=actions", "has neither `workflow` nor `event`, so the bot cannot start it"),
        ("add grace adapter=actions workflow=agent.yml max_tasks=two", "`max_tasks`: must be a whole number"),
        ("add grace adapter=actions workflow=agent.yml max_tasks=0", "`max_tasks`: must be at least 1"),
        ("add grace adapter=actions workflow=agent.yml capabilities=Python", "write `python`"),
        ("add grace adapter=actions workflow=agent.yml roles=reviewer", "did you mean `review`?"),
        ("add grace actions", "`actions` is not a setting: write `key=value`"),
        ("add grace adapter=actions adapter=http", "`adapter` appears twice"),
        ('add grace adapter="actions', "a quotation mark is not closed"),
        ("add Grace! adapter=pull", "`Grace!` is not a valid agent name"),
        ("add codex adapter=pull", "An agent `codex` already exists. To change it, comment `/agents set codex …`."),
        ("add", "Name an agent: `/agents add codex`."),
        ("set codex", "Name a change: `/agents set codex max_tasks=2`."),
        ("set codex event=go", "has both `workflow` and `event`"),
        ("set codxe max_tasks=2", "There is no agent `codxe`. Did you mean `codex`?"),
        ("drain zorro", "There is no agent `zorro`. There are `codex`, `claude`."),
        ("resume codex", "`codex` is not drained, removed or paused, so there is nothing to resume."),
        ("resume zorro", "There is no agent `zorro`."),
        ("reset zorro", "There is no agent `zorro`."),
        ("dran codex", "`/agents` has no `dran`. Did you mean `/agents drain`?"),
        ("qqqq codex", "It takes `add`, `set`, `drain`, `resume`, `remove`, `reset`."),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_with_what_to_write(words: str, reason: str) -> None:
    story = Story()
    story.run_command(f"/agents {words}")
    assert reason in refused(story)


@pytest.mark.parametrize("verb", ["add x adapter=pull", "set codex max_tasks=2", "drain codex", "remove codex"])
@pytest.mark.parametrize("role", ["none", "read", "triage"])
def test_only_people_with_write_access_change_the_team(verb: str, role: str) -> None:
    story = Story()
    story.run_command(f"/agents {verb}", author=MALLORY, role=role)
    assert f"`/agents {verb.split()[0]}` needs write access" in refused(story)


def test_a_setting_is_laid_over_the_file_and_shown_against_it() -> None:
    story = Story()
    story.run_command("/agents set codex max_tasks=3 capabilities=python, docs")
    assert story.comment_text() == "`codex`: `max_tasks` is now `3`, `capabilities` is now `python, docs`."
    codex = story.context.team.agents["codex"]
    assert (codex.max_tasks, codex.capabilities) == (3, ("python", "docs"))
    assert (
        "| file, changed by alice (2026-03-02 09:01 UTC): `max_tasks` `3` (configured: `nothing`), "
        "`capabilities` `python, docs` (configured: `python, tests`) |" in row(story, "codex")
    )
    story.run_command("/agents set codex max_tasks=")
    assert story.comment_text() == "`codex`: `max_tasks` is removed."
    assert story.context.team.agents["codex"].max_tasks == 1
    story.run_command("/agents reset codex")
    assert story.context.team.agents == story.policy.agents


def test_one_way_to_start_can_be_exchanged_for_the_other() -> None:
    story = Story()
    story.run_command("/agents set codex workflow= event=agent-task")
    codex = story.context.team.agents["codex"]
    assert codex.model_dump(include={"workflow", "event"}) == {"workflow": None, "event": "agent-task"}


def test_a_change_that_no_longer_goes_with_the_file_does_not_count_and_says_so() -> None:
    story = Story()
    story.run_command("/agents set codex ref=next")
    by_event = {"adapter": "actions", "event": "agent-task", "capabilities": ("python",)}
    story.policy = Story(agents={"codex": by_event}).policy
    assert story.context.team.agents == story.policy.agents
    story.run_command("/agents")
    assert (
        "no longer fit the file, so the bot uses the file: `ref`: `ref` works only with `workflow`"
        in story.comment_text()
    )


def test_a_drained_agent_keeps_what_it_has() -> None:
    story = Story()
    story.held_task_counts = {"codex": 2}
    story.run_command("/agents drain codex")
    assert story.comment_text() == (
        "`codex` gets no new task; its 2 tasks continue. To undo this, comment `/agents resume codex`."
    )
    assert story.context.team.unavailable_reason("codex") == "draining: it finishes its tasks"
    story.run_command("/agents set codex max_tasks=3")
    assert story.context.team.mode("codex") == "draining"
    story.run_command("/agents resume codex")
    assert story.context.team.unavailable_reason("codex") is None
    assert story.context.team.agents["codex"].max_tasks == 3


def paused(record: AgentRecord, **more: Any) -> Agent:
    """`codex` as it is after a minute."""
    told = agent_availability(record, NOW + timedelta(minutes=1), Story().policy.timeouts, **more)
    return agent("codex", availability=told, unavailable_reason=None if told.accepts_work else told.reason)


@pytest.mark.parametrize(
    ("record", "state"),
    [
        (AgentRecord(last_failure_at=NOW, last_failure_reason="silent", failures=1), "error: failed at"),
        (AgentRecord(backoff_until=NOW + timedelta(hours=1), backoff_reason="no credit"), "busy: takes no work until"),
    ],
)
def test_the_pause_of_an_agent_is_ended_by_a_person(record: AgentRecord, state: str) -> None:
    story = Story()
    story.agents = (paused(record),)
    assert f"| {state}" in row(story, "codex")
    assert "; to end this, comment `/agents resume codex` |" in row(story, "codex")
    story.run_command("/agents resume codex")
    assert story.comment_text() == "`codex` gets tasks again."
    assert [(news.agent, news.kind) for news in story.last_decision.agent_changes] == [
        ("codex", StateChangeKind.RESUMED)
    ]
    assert [(event.type, event.actor) for event in story.last_decision.events] == [(EventType.AGENT_RESUMED, "alice")]
    assert not story.last_decision.team_changes, "its settings are not touched"


def test_a_service_that_is_left_alone_is_no_pause_of_the_agent() -> None:
    story = Story()
    story.agents = (paused(AgentRecord(), breaker=CircuitBreaker("actions", 10, NOW, NOW + timedelta(minutes=2))),)
    assert "to end this" not in row(story, "codex")
    story.run_command("/agents resume codex")
    assert "there is nothing to resume. It is paused until" in refused(story)


def test_a_drained_agent_in_error_is_taken_in_with_both_at_once() -> None:
    story = Story()
    story.run_command("/agents drain codex")
    story.agents = (paused(AgentRecord(last_failure_at=NOW, failures=2)),)
    story.run_command("/agents resume codex")
    assert story.context.team.mode("codex") is None
    assert [news.kind for news in story.last_decision.agent_changes] == [StateChangeKind.RESUMED]


def test_a_removed_agent_takes_no_part_but_is_known() -> None:
    story = Story()
    story.held_task_counts = {"codex": 1}
    story.run_command("/agents remove codex")
    assert "its current task continues" in story.comment_text()
    assert list(story.context.team.agents) == ["claude"]
    assert story.context.team.all_agents["codex"] == story.policy.agents["codex"]
    assert "| removed: it finishes its tasks | file, changed by alice" in row(story, "codex")
    for words in ("set codex max_tasks=2", "drain codex", "remove codex", "add codex adapter=pull"):
        story.run_command(f"/agents {words}")
        assert "To add it again, comment `/agents resume codex`" in refused(story)
    story.run_command("/agents resume codex")
    assert "codex" in story.context.team.agents


def test_one_that_was_added_and_removed_leaves_the_table_with_its_last_task() -> None:
    story = Story()
    story.run_command(ADD)
    story.run_command("/agents reset grace")
    assert refused(story) == "`grace` is not in the configuration file. To remove it, comment `/agents remove grace`."
    story.run_command("/agents remove grace")
    story.held_task_counts = {"grace": 1}
    assert "| 1 of 2 | removed: it finishes its tasks |" in row(story, "grace")
    story.held_task_counts = {}
    story.run_command("/agents")
    assert "grace" not in story.comment_text()
    story.run_command("/agents add grace adapter=pull", author=ALICE)
    assert story.context.team.agents["grace"].adapter == "pull"


def test_without_agents_it_is_said_how_to_begin() -> None:
    story = Story(agents={})
    story.run_command("/agents")
    assert "There are no agents." in story.comment_text()
