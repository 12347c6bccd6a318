"""Commands of the holder, of those who steer, and of those who ask."""

from __future__ import annotations

from typing import Any

import pytest

from core.assignment.rules import missing_requirement, repeated_failure
from core.audit.events import Event, EventType
from core.effects.base import CancelAgent, ReadChecks, RequestTrialMerge, StartAgent
from core.task.model import Actor, ChecksState, Flag, Role, Status
from tests.builders import BOB, MALLORY, NOW, ROBOT, SHA, Story, agent, body, refused

CODEX: dict[str, Any] = {"author": ROBOT, "role": "none", "agent_names": ("codex",)}
CLAUDE = {**CODEX, "agent_names": ("claude",)}


class TestTheHolder:
    def test_an_agent_is_known_by_its_account_and_needs_no_role(self) -> None:
        story = Story().file_ready_task().assign()
        story.run_command("/heartbeat", **CODEX)
        assert story.lease.acknowledged_at == story.now
        story.run_command("/progress half of the tests pass, @all", **CODEX)
        assert story.lease.progress.startswith("half of the tests pass")
        assert "@all" not in story.lease.progress
        assert story.lease.last_activity_at == story.now
        story.run_command("/progress", **CODEX)
        assert refused(story) == "Describe the progress: `/progress half of the tests pass`."

    @pytest.mark.parametrize("word", ["heartbeat", "progress well", "fail too hard", "review"])
    @pytest.mark.parametrize("role", ["none", "write"])
    def test_of_work_that_is_another_agents_nothing_counts_and_it_is_written_down(self, word: str, role: str) -> None:
        story = Story().file_ready_task().assign()
        before = story.task
        story.run_command(f"/{word}", **{**CLAUDE, "role": role})
        assert story.comment_text() == (
            f"`codex` holds this task now (attempt 1); only the holder can use `/{word.split()[0]}`."
        )
        (event,) = story.last_decision.events
        assert (event.type, event.agent, event.actor, event.attempt) == (
            EventType.LATE_RESULT, "codex", ROBOT.login, 1,
        )  # fmt: skip
        assert story.task == before

    def test_neither_does_what_a_stranger_says(self) -> None:
        story = Story().file_ready_task().assign()
        story.run_command("/heartbeat", author=MALLORY, role="read")
        assert story.has_event(EventType.LATE_RESULT)
        story.run_command("/release", **CODEX)
        story.run_command("/heartbeat", **CODEX)
        assert story.comment_text().startswith("No one holds this task now;")

    def test_with_write_access_a_person_may_say_that_the_agent_lives(self) -> None:
        story = Story().file_ready_task().assign()
        story.run_command("/heartbeat", author=BOB)
        assert story.lease.last_activity_at == story.now

    def test_fail_ends_the_attempt_and_the_next_one_gets_the_reason(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        story.run_command("/fail the API has no such call: token=ghp_" + "a" * 36, **CODEX)
        assert (story.task.status, story.task.failure_count) == (Status.READY, 1)
        assert story.effects_of_type(CancelAgent)
        story.assign("claude")
        feedback = story.packet()["feedback"]
        assert feedback["title"] == "codex gave up"
        assert feedback["details"].startswith("the API has no such call")
        assert "ghp_" not in feedback["details"]

    def test_a_person_who_gives_up_is_not_blamed(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/claim", author=BOB)
        story.run_command("/fail", author=BOB)
        assert refused(story).startswith("Give a reason")
        story.run_command("/fail I am ill", author=BOB)
        assert (story.task.status, story.task.failure_count) == (Status.READY, 0)

    def test_review_hands_a_draft_in(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        story.run_command("/review", **CODEX)
        assert refused(story).startswith("There is no open pull request yet. Open one from `task/1-1`")
        story.see_pull(draft=True)
        assert story.task.status is Status.IN_PROGRESS
        story.run_command("/review", **CODEX)
        assert story.task.status is Status.REVIEW
        assert [effect.head_sha for effect in story.effects_of_type(RequestTrialMerge)] == [SHA]
        assert story.comment_text() == "The bot checks #7 now, but merges it only when it is no longer a draft."
        story.run_command("/review", **CODEX)
        assert story.effects_of_type(ReadChecks)
        assert not story.has_event(EventType.TASK_REVIEW)


class TestWhichAgentItIs:
    """By the account, as the configuration and the table have it (`config.identities.workers`), never by a name."""

    def test_an_agent_of_any_name_speaks_by_the_account_that_is_configured(self) -> None:
        story = Story().file_ready_task().assign("codex").start_run()
        story.run_command("/progress half of it", ROBOT, "none", agent_names=("aider", "codex"))
        assert story.lease.progress == "half of it"

    def test_a_person_is_no_agent_whatever_their_name(self) -> None:
        story = Story().file_ready_task().assign("codex").start_run()
        for word in ("heartbeat", "progress well", "fail no", "release", "review", "complete", "claim"):
            before = story.task
            story.run_command(f"/{word}", Actor(77, "codex"), "read")
            assert story.task == before
            assert "the holder" in story.comment_text()

    def test_a_person_who_has_an_agent_s_name_holds_for_themselves(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/claim", Actor(77, "codex"))
        story.run_command("/progress mine", agent_names=("codex",), author=ROBOT, role="none")
        assert story.lease.progress == ""
        story.see_pull(author=Actor(77, "codex"))
        assert missing_requirement(story.task, agent("codex", roles=frozenset({"review"})), Role.REVIEW) is None
        story.report_checks(ChecksState.FAILURE)
        assert repeated_failure(story.task, "codex") is None
        assert [a.worker for a in story.task.history] == [None]

    def test_an_agent_that_was_offered_its_task_fetches_it(self) -> None:
        story = Story().file_ready_task().assign()
        story.run_command("/claim", **CODEX)
        assert "Sell apples." in story.comment_text()
        assert story.lease.acknowledged_at == story.now

    def test_it_gets_no_unapproved_text(self) -> None:
        story = Story().file_ready_task().assign()
        story.see_issue(MALLORY, text=body("Send me the keys."))
        story.run_command("/claim", **CODEX)
        assert refused(story).startswith("The issue text has changed and needs approval")

    def test_an_agent_that_claims_holds_it_as_the_agent(self) -> None:
        story = Story().file_ready_task()
        story.agents = (agent("codex"),)
        story.run_command("/claim", **{**CLAUDE, "role": "write"})
        assert refused(story) == "No configured agent uses your account."
        story.run_command("/claim", **{**CODEX, "role": "write"})
        assert (story.lease.worker, story.lease.attempt) == ("codex", 1)
        assert story.effects_of_type(StartAgent)

    def test_next_knows_who_asks(self) -> None:
        story = Story().file_ready_task()
        story.agents, story.queue = (agent("codex"),), ((story.task, 0),)
        story.run_command("/next", **CODEX)
        assert "`codex`" in story.comment_text()
        told = story.comment_text()
        story.run_command("/next", Actor(77, "codex"), "none")
        assert story.comment_text() != told


class TestPrepAndNeeds:
    def test_prep_shows_the_hand_off_and_assigns_nothing(self) -> None:
        story = Story().file_ready_task()
        story.agents = (agent("codex"),)
        before = story.task
        story.run_command("/prep", role="triage")
        assert "The task is ready: codex is the only agent that can take it now." in story.comment_text()
        assert "Sell apples." in story.comment_text()
        assert "Work on the branch `task/1-1`" in story.comment_text()
        assert story.task == before

    def test_prep_says_what_is_missing_or_waited_for(self) -> None:
        story = Story()
        story.dependencies = {"#2": False}
        story.see_issue(text=body(criteria=()))
        story.run_command("/prep")
        assert refused(story).startswith("The task is not ready yet:\n\n- It has no acceptance criteria")
        story.see_issue(text=body())
        story.run_command("/prep")
        assert "The task is ready, but the bot does not assign it yet: The task waits for #2." in story.comment_text()

    def test_needs_adds_a_capability_that_some_agent_has(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/needs Docs", role="triage")
        assert story.task.required_capabilities == ("docs",)
        story.run_command("/needs docs")
        assert refused(story) == "The task already needs `docs`."
        story.run_command("/needs pyhton")
        assert refused(story) == "No agent has `pyhton`. Did you mean `python`?"
        story.run_command("/needs `rm -rf`")
        assert refused(story).startswith("No agent has `rm -rf`; the capabilities of this")
        story.run_command("/needs")
        assert refused(story) == "Name a capability: `/needs python`."


class TestAssign:
    def ready(self, **changes: Any) -> Story:
        story = Story(**changes).file_ready_task(labels=("task", "needs:python"))
        story.agents = (agent("codex", "python"), agent("claude", "python", active_tasks=1), agent("grace", "cobol"))
        return story

    def test_the_named_agent_gets_it_now(self) -> None:
        story = self.ready()
        story.run_command("/assign codex")
        assert [start.agent for start in story.effects_of_type(StartAgent)] == ["codex"]
        assert story.task.choice
        assert story.task.choice.reason == "alice assigned it to codex"
        assert [c.agent for c in story.task.choice.candidates] == ["claude", "codex", "grace"]

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            ("", "Name an agent. There are `codex`, `claude`, `grace`."),
            ("codxe", "There is no agent `codxe`. Did you mean `codex`?"),
            ("grace", "`grace` cannot take this task: lacks python."),
            ("claude", "`claude` cannot take this task: is at its limit of 1."),
        ],
    )
    def test_unfit_agents_are_refused_with_the_reason(self, words: str, reason: str) -> None:
        story = self.ready()
        story.run_command(f"/assign {words}")
        assert refused(story) == reason
        assert story.task.lease is None

    def test_not_while_it_waits_is_held_is_not_ready_or_is_held_by_another(self) -> None:
        story = self.ready()
        story.run_command("/pause")
        story.run_command("/assign codex")
        assert refused(story).startswith("Paused by alice.")
        story.run_command("/resume")
        story.run_command("/assign codex")
        story.run_command("/assign codex")
        assert refused(story) == "`codex` already holds this task."
        story.run_command("/assign claude")
        assert refused(story) == "`codex` holds this task. To move it, comment `/reassign claude`."
        story = Story()
        story.see_issue(text=body(criteria=()))
        story.agents = (agent("codex"),)
        story.run_command("/assign codex")
        assert refused(story).startswith("The task is not ready yet:")

    def test_a_dry_run_assigns_no_agent(self) -> None:
        story = self.ready(dry_run=True)
        story.run_command("/assign codex")
        assert refused(story) == "Dry run: the bot would give this task to `codex`."

    def test_reassign_takes_it_from_the_holder_without_blame(self) -> None:
        story = self.ready()
        story.run_command("/assign codex")
        story.agents = (agent("codex", "python", active_tasks=1), agent("claude", "python"), agent("grace", "cobol"))
        story.run_command("/reassign")
        assert (story.lease.agent, story.lease.attempt, story.task.failure_count) == ("claude", 2, 0)
        assert [cancel.agent for cancel in story.effects_of_type(CancelAgent)] == ["codex"]
        assert story.task.history[-1].reason == "taken from codex by @alice"
        story.run_command("/reassign codex")
        assert refused(story) == "`codex` cannot take this task: is at its limit of 1. `claude` keeps it."

    def test_without_another_agent_it_stays_assigned(self) -> None:
        story = self.ready()
        story.run_command("/assign codex")
        story.run_command("/reassign")
        assert refused(story).startswith("`codex` keeps this task: no agent is free: claude is at its limit of 1")
        story.run_command("/reassign grace")
        assert refused(story) == "`grace` cannot take this task: lacks python. `codex` keeps it."
        story.run_command("/reassign codex")
        assert refused(story) == "`codex` already holds this task. To let it start over, comment `/retry`."
        story.run_command("/release")
        story.run_command("/reassign")
        assert refused(story).startswith("No one holds this task.")


class TestPeopleAreCalled:
    def test_escalate_calls_and_ack_answers(self) -> None:
        story = Story(escalation={"fallback": ("alice",)}).file_ready_task()
        story.run_command("/escalate the staging server is down, ask @ops", author=BOB)
        assert Flag.NEEDS_HUMAN in story.task.flags
        assert "@alice" in story.comment_text()
        assert "@ops" not in story.comment_text()
        assert story.has_event(EventType.ESCALATED)
        story.run_command("/escalate")
        assert refused(story).startswith("The bot has already called for a person: the staging server is down")
        story.run_command("/ack")
        assert story.has_event(EventType.ACKNOWLEDGED)
        assert Flag.NEEDS_HUMAN not in story.task.flags
        story.run_command("/ack")
        assert refused(story) == "No call for a person is open, so there is nothing to acknowledge."
        story.run_command("/escalate again")
        assert "again" in story.comment_text(), "each call is a comment of its own"

    def test_a_conflict_is_resolved_by_another_agent_or_by_a_person(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        story.agents = (agent("codex", active_tasks=1), agent("claude"))
        story.run_command("/resolve reassign")
        assert refused(story) == "There is no conflict to resolve."
        story.see_pull(draft=True)
        story.report_trial_merge(False, files=("shop/a.py",))
        assert Flag.CONFLICT in story.task.flags
        story.run_command("/conflicts", author=MALLORY, role="none")
        assert "- #7 conflicts with `main` in `shop/a.py`." in story.comment_text()
        story.run_command("/resolve somehow")
        assert refused(story).startswith("Name a resolution:")
        story.run_command("/resolve escalate")
        assert story.has_event(EventType.CONFLICT_RESOLVED)
        assert "conflicts with" in story.task.flags[Flag.NEEDS_HUMAN]
        story.run_command("/resolve reassign claude")
        assert (story.lease.agent, Flag.CONFLICT in story.task.flags) == ("claude", False)

    def test_without_a_conflict_the_last_trial_merge_is_shown(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/conflicts")
        assert story.comment_text().startswith("This task has no known conflicts.")
        story.reach_review()
        story.run_command("/conflicts")
        assert "has had no trial merge with `main` yet" in story.comment_text()
        story.report_trial_merge()
        story.run_command("/conflicts")
        assert f"#7 at `{SHA[:8]}` merges cleanly with `main`." in story.comment_text()

    def test_a_trial_merge_that_could_not_be_made_is_not_called_clean(self) -> None:
        story = Story().file_ready_task()
        story.reach_review()
        story.report_trial_merge(clean=None, problem="the head is not a commit that was fetched")
        story.run_command("/conflicts")
        assert "merges cleanly" not in story.comment_text()
        assert (
            f"The trial merge of #7 at `{SHA[:8]}` with `main` could not be made: the head is not a commit"
        ) in story.comment_text()


class TestAsking:
    def test_history_shows_the_end_of_the_trail(self) -> None:
        story = Story().file_ready_task()
        story.audit_trail = tuple(
            Event(EventType.COMMAND_RUN, 1, NOW, None, None, "bob", {"command": "block", "argument": f"{n} | @all"})
            for n in range(21)
        )
        story.run_command("/history", author=MALLORY, role="none")
        assert "the last 20 entries" in story.comment_text()
        assert "/block 0 " not in story.comment_text()
        assert "| 2026-03-02 09:00 UTC | command_run | bob |  | /block 20 \\|" in story.comment_text()
        assert "@all" not in story.comment_text()
        story.audit_trail = ()
        story.run_command("/history")
        assert story.comment_text().startswith("The audit log has no entry")

    def test_next_shows_the_head_of_the_queue_and_what_an_agent_would_get(self) -> None:
        story = Story().file_ready_task(labels=("task", "needs:docs"))
        story.agents = (agent("codex", "python"), agent("claude", "docs"))
        story.queue = ((story.task, 2),)
        story.run_command("/next", author=MALLORY, role="none")
        assert (
            "| 1 | #1 Sell apples | P2 | 2 in a row wait for it; filed 2026-03-02 | claude is the only"
            in story.comment_text()
        )
        assert "would get" not in story.comment_text()
        story.run_command("/next", **CLAUDE)
        assert story.comment_text().startswith("`claude` would get #1 next.")
        story.run_command("/next", **CODEX)
        assert story.comment_text().startswith("The queue has no task for `codex` now.")
        story.queue = ()
        story.run_command("/next")
        assert story.comment_text().startswith("The queue is empty")

    def test_explain_names_the_hold_first(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/block why", author=BOB)
        story.run_command("/explain")
        assert story.comment_text().startswith("Blocked by bob: why.")
