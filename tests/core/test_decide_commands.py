"""What slash commands do."""

from __future__ import annotations

from typing import Any

import pytest

from core.audit.events import EventType
from core.effects.base import AddReaction, CancelAgent, Comment, MergePull, StartAgent
from core.signals.base import MergeRefused
from core.task.model import ChecksState, Flag, Priority, Status
from tests.builders import ALICE, BOB, MALLORY, SHA, Story, agent, body, failed_check, refused


class TestAnswers:
    def test_a_command_that_worked_gets_a_rocket(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/priority P0", comment_id=77)
        assert story.effects_of_type(AddReaction) == [AddReaction(77, "rocket")]
        assert story.has_event(EventType.COMMAND_RUN)

    def test_one_that_did_not_gets_a_reason(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/retyr", comment_id=77)
        assert story.effects_of_type(AddReaction) == [AddReaction(77, "confused")]
        assert refused(story) == "There is no command `/retyr`. Did you mean `/retry`? `/help` lists all commands."
        story.run_command("/xyzzy")
        assert refused(story) == "There is no command `/xyzzy`. `/help` lists all commands."

    def test_the_answer_goes_where_the_question_was_and_is_written_once(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/status")
        assert [effect.key for effect in story.effects_of_type(Comment)] == ["comment:1:answer:1:x"]
        assert not story.effects_of_type(AddReaction), "it did not come from a comment"

    def test_who_may_not_learns_what_is_needed(self) -> None:
        story = Story().file_ready_task()
        before = story.task
        story.run_command("/priority P0", author=MALLORY, role="read")
        assert refused(story).startswith("`/priority` needs triage access; you have read access")
        assert story.task == before

    @pytest.mark.parametrize(
        ("command", "role", "needed"),
        [
            ("/claim", "triage", "write access, or must be the holder"),
            ("/release", "triage", "write access, or must be the holder"),
            ("/retry", "triage", "write access"),
            ("/complete", "triage", "write access, or must be the holder"),
            ("/ready", "read", "triage access"),
            ("/priority P0", "read", "triage access"),
        ],
    )
    def test_each_command_has_its_weakest_role(self, command: str, role: str, needed: str) -> None:
        story = Story()
        story.see_issue(text=body(criteria=()))
        story.run_command(command, author=BOB, role=role, comment_id=77)
        assert story.effects_of_type(AddReaction) == [AddReaction(77, "confused")]
        word = command.split()[0]
        assert refused(story) == f"`{word}` needs {needed}; you have {role} access to this repository."

    @pytest.mark.parametrize("withdrawn", [True, False])
    def test_where_there_is_no_task_it_is_said_how_to_begin(self, withdrawn: bool) -> None:
        story = Story()
        if withdrawn:
            story.file_ready_task()
            story.remove_label("task")
        story.run_command("/status")
        assert refused(story).startswith("This is not a task.")
        story.run_command("/help")
        assert "/retry" in story.comment_text()

    @pytest.mark.parametrize("command", ["/help", "/status", "/explain"])
    def test_questions_change_nothing(self, command: str) -> None:
        story = Story().file_ready_task()
        before = story.task
        story.run_command(command, author=MALLORY, role="read")
        assert story.task == before
        assert story.comment_text()


class TestExplain:
    def test_of_a_ready_task_the_candidates_of_this_moment_are_shown(self) -> None:
        story = Story().file_ready_task().assign(None, "no agent is free")
        story.agents = (agent("codex"), agent("claude", active_tasks=1))
        story.run_command("/explain")
        assert "codex is the only agent that can take it now" in story.comment_text()
        assert "excluded: is at its limit of 1" in story.comment_text()

    def test_of_one_in_hand_the_choice_of_then(self) -> None:
        story = Story().file_ready_task().assign(reason="codex scores best")
        story.run_command("/explain")
        assert "codex scores best" in story.comment_text()

    def test_no_agent_was_searched_for_a_waiting_task(self) -> None:
        story = Story()
        story.dependencies = {"#2": False}
        story.file_ready_task()
        story.run_command("/explain")
        assert story.comment_text() == "The bot is not looking for an agent because the task waits for #2.\n"


class TestClaimAndRelease:
    def test_a_person_takes_the_task_and_gets_the_hand_off(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/claim", author=BOB)
        assert (story.task.status, story.lease.agent, story.lease.holder_id) == (Status.IN_PROGRESS, "bob", BOB.id)
        assert "Sell apples." in story.comment_text()
        assert "task/1-1" in story.comment_text()
        assert not story.effects_of_type(StartAgent)

    @pytest.mark.parametrize(
        ("prepare", "reason"),
        [
            ("pending", "The task is not ready yet:\n\n- It has no acceptance criteria"),
            ("waiting", "The task waits for #2."),
            ("in-progress", "`codex` is working on this task. Release it first with `/release`."),
            ("review", "Only a ready task can be claimed; this one is review."),
            ("failed-and-closed", "The issue is closed. Reopen it to start over."),
        ],
    )
    def test_not_now(self, prepare: str, reason: str) -> None:
        story = Story()
        story.dependencies = {"#2": False} if prepare == "waiting" else {}
        story.see_issue(text=body(criteria=()) if prepare == "pending" else body())
        if prepare == "in-progress":
            story.assign()
        elif prepare == "review":
            story.reach_review()
        elif prepare == "failed-and-closed":
            story.see_issue(closed=True, not_planned=True)
        before = story.task
        story.run_command("/claim")
        assert refused(story).startswith(reason)
        assert story.task == before

    def test_the_person_called_to_a_failed_task_can_claim_it(self) -> None:
        story = (
            Story(limits={"max_attempts": 1}).file_ready_task().assign().start_run().report_run("completed", "failure")
        )
        assert "Finish it yourself: comment `/claim`." in story.comment_text()
        story.run_command("/claim", author=BOB)
        assert (story.task.status, story.lease.agent, story.task.failure_count) == (Status.IN_PROGRESS, "bob", 0)
        assert Flag.NEEDS_HUMAN not in story.task.flags

    def test_a_released_task_has_no_holder_and_the_agent_stops(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        story.run_command("/release")
        assert (story.task.status, story.task.lease, story.task.failure_count) == (Status.READY, None, 0)
        assert story.effects_of_type(CancelAgent)
        assert story.has_event(EventType.TASK_RELEASED)
        story.run_command("/release")
        assert refused(story) == "No one holds this task."

    def test_the_holder_may_release_it_whatever_the_role(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/claim", author=BOB)
        story.run_command("/release", author=BOB, role="read")
        assert story.task.status is Status.READY
        assert not story.effects_of_type(CancelAgent), "no other holder is stopped"

    def test_what_is_merged_is_not_given_back(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.merge_pull()
        story.run_command("/release")
        assert "#7 is already merged" in refused(story)


class TestReady:
    def test_a_maintainer_approves_what_a_stranger_wrote(self) -> None:
        story = Story()
        story.see_issue(MALLORY, author=MALLORY)
        story.run_command("/ready", author=BOB, role="triage")
        assert "by a person without write access" in refused(story)
        story.run_command("/ready", author=BOB, role="maintain")
        assert (story.task.status, story.task.approved_by) == (Status.READY, "bob")

    def test_it_says_what_is_missing(self) -> None:
        story = Story()
        story.see_issue(text=body(goal="none", criteria=()))
        story.run_command("/ready")
        assert refused(story).count("\n- ") == 2

    def test_of_a_task_in_hand_there_is_nothing_to_say(self) -> None:
        story = Story().file_ready_task().assign()
        story.run_command("/ready")
        assert refused(story) == "The task is already in-progress."

    def test_but_a_text_that_was_changed_meanwhile_can_be_approved(self) -> None:
        story = Story().file_ready_task(author=MALLORY).assign()
        story.see_issue(MALLORY, text=body("Sell apples and pears."))
        story.run_command("/ready")
        assert story.task.approved_digest == story.task.text_digest
        assert story.task.status is Status.IN_PROGRESS


class TestPriority:
    @pytest.mark.parametrize("argument", ["P0", "p0", " p0 "])
    def test_it_is_set(self, argument: str) -> None:
        story = Story().file_ready_task()
        story.run_command(f"/priority {argument}", role="triage")
        assert story.task.priority is Priority.P0

    @pytest.mark.parametrize("argument", ["", "P3", "high", "urgent"])
    def test_a_wrong_one_is_explained(self, argument: str) -> None:
        story = Story().file_ready_task()
        story.run_command(f"/priority {argument}")
        assert refused(story) == "Name a priority: `/priority P0`, `/priority P1` or `/priority P2`."


class TestRetry:
    @pytest.mark.parametrize("start", ["in-progress", "review", "failed"])
    def test_it_starts_over_with_a_clean_slate(self, start: str) -> None:
        story = Story(limits={"max_attempts": 2}).file_ready_task().reach_review()
        story.report_checks(ChecksState.FAILURE, None, failed_check())
        story.assign().start_run()
        if start == "review":
            story.see_pull(8)
        elif start == "failed":
            story.report_run("completed", "failure")
        assert story.task.status == start
        story.run_command("/retry")
        assert (story.task.status, story.task.failure_count) == (Status.READY, 0)
        assert not story.task.flags
        assert bool(story.effects_of_type(CancelAgent)) is (start == "in-progress")

    def test_what_is_missing_counts(self) -> None:
        story = Story().file_ready_task().assign()
        story.see_issue(text=body(criteria=()))
        story.run_command("/retry")
        assert story.task.status is Status.PENDING

    @pytest.mark.parametrize(
        ("prepare", "reason"),
        [
            ("ready", "There is nothing to retry: the task is ready."),
            ("pending", "There is nothing to retry: the task is pending."),
            ("merged", "#7 is already merged. Close and reopen the issue to start over."),
            ("closed", "The issue is closed. Reopen it to start over."),
        ],
    )
    def test_not_now(self, prepare: str, reason: str) -> None:
        story = Story().file_ready_task()
        if prepare == "pending":
            story.see_issue(text=body(criteria=()))
        elif prepare == "merged":
            story.reach_review().merge_pull()
        elif prepare == "closed":
            story.see_issue(closed=True, not_planned=True)
        story.run_command("/retry")
        assert refused(story) == reason


class TestComplete:
    def green(self, **changes: Any) -> Story:
        story = Story(**changes).file_ready_task(text=body(ticked=True)).reach_review()
        story.report_checks(ChecksState.SUCCESS)
        story.report_trial_merge()
        return story

    def test_it_says_that_people_can_merge(self) -> None:
        story = self.green()
        story.run_command("/complete")
        assert story.comment_text() == "Nothing is missing: #7 can be merged."

    def test_it_says_that_the_merge_is_under_way(self) -> None:
        story = self.green(merge={"auto": True})
        story.run_command("/complete")
        assert story.comment_text() == "Nothing is missing; the bot is merging the pull request."
        assert not story.effects_of_type(MergePull)

    @pytest.mark.parametrize(
        ("review", "text", "gap"),
        [
            ("person", body(ticked=True), "It needs the approval of a person."),
            ("agent", body(ticked=True), "It needs the approval of the reviewing agent."),
            ("none", body(), "1 of 1 acceptance criteria are not ticked"),
        ],
    )
    def test_it_says_what_is_missing(self, review: str, text: str, gap: str) -> None:
        story = self.green(merge={"review": review})
        story.see_issue(text=text)
        story.run_command("/complete")
        assert refused(story).startswith(f"The pull request cannot be merged yet:\n\n- {gap}")

    def test_without_a_pull_request(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/complete")
        assert refused(story).startswith("The task is not done yet:\n\n- There is no pull request.")

    def test_after_the_merge(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.merge_pull()
        story.report_checks(ChecksState.SUCCESS)
        story.run_command("/complete")
        assert "apples are sold" in refused(story)
        story.see_issue(text=body(ticked=True))
        assert story.task.status is Status.DONE
        story.run_command("/complete")
        assert story.comment_text() == "The task is done."

    def test_it_finds_out_that_the_task_is_done(self) -> None:
        story = Story(limits={"max_attempts": 1}).file_ready_task().reach_review()
        story.report_checks(ChecksState.FAILURE, None, failed_check())
        story.see_pull(7, attempt=1, merged=True)
        story.report_checks(ChecksState.SUCCESS)
        story.see_issue(None, text=body(ticked=True))
        assert story.task.status is Status.DONE

    def test_a_merge_that_github_refused_is_asked_for_again(self) -> None:
        story = self.green(merge={"auto": True})
        story.apply(MergeRefused(7, SHA, "no"))  # perhaps for want of our check: it is written, and asked again
        story.apply(MergeRefused(7, SHA, "no"))
        story.run_command("/complete", author=ALICE)
        assert "is merging" in story.comment_text()
        assert [merge.merge_attempt for merge in story.effects_of_type(MergePull)] == [3]
