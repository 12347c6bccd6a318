"""A task that is stalled: why, what is done about it, and what ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.problems import ConfigError
from config.repository import Timeouts, parse_repository_config
from core.assignment.stats import MIN_OBSERVATIONS, learned_work_time
from core.audit.events import EventType
from core.conflicts.pulls import Precedence, TrialMerge
from core.effects.base import CancelAgent, Comment, Escalate, MessageAgent, RequestTrialMerge
from core.signals.base import AgentMessageResult, AgentSeen, ChecksSeen, EscalationAnswered, MergeRefused
from core.stall.model import CheckWaitReason, EscalationStep, StallCause
from core.stall.rules import ESCALATION_STEPS, escalate_after
from core.task.deadlines import DeadlineKind, deadlines_of, stall_threshold
from core.task.model import ChecksState, Flag, LearnedTimeout, Priority, Role, SessionState, Status
from tests.builders import ALICE, BOB, MALLORY, OTHER_SHA, SHA, Story, agent, body, conflicting_pull

TIMES = Timeouts()
HOUR = timedelta(hours=1)
SUCCESS = ChecksState.SUCCESS
TICKED = body(ticked=True)


def at_work(**changes: object) -> Story:
    """`codex` is at work; `claude` could do it as well."""
    story = Story(escalation={"fallback": ("alice",)}, **changes).file_ready_task().assign().start_run()
    story.agents = (agent("codex", active_tasks=1), agent("claude"))
    return story


def handed_in(**changes: object) -> Story:
    return Story(escalation={"fallback": ("alice",)}, **changes).file_ready_task(text=TICKED).reach_review()


def mergeable(**changes: object) -> Story:
    story = handed_in(**changes)
    story.report_checks(SUCCESS)
    story.report_trial_merge()
    return story


def waiting(story: Story, wait: CheckWaitReason) -> Story:
    story.apply(ChecksSeen(story.pull.head_sha, ChecksState.PENDING, wait_reason=wait))
    return story


def lives(story: Story) -> None:
    story.apply(AgentSeen(story.task.attempt, SessionState.WORKING, story.now))


def stalled(story: Story) -> tuple[str, str]:
    """Nothing moves until it is a stall; gives its cause and reason."""
    story.reach_deadline(DeadlineKind.STALL)
    assert story.task.stall
    return story.task.stall.cause.value, story.task.stall.reason


class TestASlowAgent:
    def test_is_nudged_then_replaced_with_the_whole_hand_off(self) -> None:
        story = at_work()
        lives(story)
        story.reach_deadline(DeadlineKind.STALL)
        [nudge] = story.effects_of_type(MessageAgent)
        assert "you have pushed nothing to `task/1-1`" in nudge.text
        assert story.has_event(EventType.TASK_STALLED)
        assert story.task.flags[Flag.STALLED].startswith("`codex` is running but has pushed nothing.")
        assert story.task.stall
        assert story.task.stall.next_step is EscalationStep.REASSIGN
        story.apply(AgentMessageResult(1, nudge.topic, accepted=True))
        assert "The bot reminded `codex`. At " in story.task.flags[Flag.STALLED]

        lives(story)
        assert story.task.stall, "a sign of life is no progress"
        story.reach_deadline(DeadlineKind.STALL)
        assert (story.task.status, story.task.stall) == (Status.READY, None)
        last = story.task.history[-1]
        assert (last.outcome, last.counts_against_agent, last.reason) == ("stalled", True, "codex made no progress")
        assert story.effects_of_type(CancelAgent)
        assert not story.has_event(EventType.AGENT_FAILED), "it is slow, and not dead"
        [idle] = story.events(EventType.CONFLICT_DETECTED)
        assert idle.payload["kind"] == "idle"
        assert [event.payload["rung"] for event in story.events(EventType.STALL_STEP_TAKEN)] == [
            EscalationStep.REASSIGN
        ]
        story.assign("claude")
        assert story.packet()["feedback"]["title"] == "codex made no progress"
        assert story.packet()["attempt"] == 2

    def test_that_takes_no_words_has_as_much_time_as_others(self) -> None:
        story = at_work()
        story.reach_deadline(DeadlineKind.STALL)
        [nudge] = story.effects_of_type(MessageAgent)
        assert story.task.stall
        before = story.task.stall.next_at
        story.apply(AgentMessageResult(1, nudge.topic, accepted=False, reason="it is gone from the configuration"))
        assert story.task.stall.next_at == before
        said = story.task.flags[Flag.STALLED]
        assert (
            "`codex` cannot receive messages while it runs (it is gone from the configuration), so no reminder "
            "was sent." in said
        )

    def test_stays_assigned_if_no_other_agent_is_free(self) -> None:
        story = at_work()
        story.agents = (agent("codex", active_tasks=1), agent("claude", active_tasks=1))
        story.reach_deadline(DeadlineKind.STALL)
        story.reach_deadline(DeadlineKind.STALL)
        assert story.task.status is Status.IN_PROGRESS
        assert not story.effects_of_type(CancelAgent)
        [call] = story.effects_of_type(Escalate)
        assert "No other agent is free, so the bot did not reassign the task." in call.body
        assert "`/reassign`" in call.body
        assert story.task.escalation
        assert Flag.NEEDS_HUMAN in story.task.flags
        lives(story)
        assert Flag.NEEDS_HUMAN in story.task.flags, "that it lives was known when the person was called"

    def test_is_left_at_work_on_the_last_attempt(self) -> None:
        story = at_work(limits={"max_attempts": 1})
        story.reach_deadline(DeadlineKind.STALL)
        story.reach_deadline(DeadlineKind.STALL)
        assert story.task.status is Status.IN_PROGRESS
        assert "the last attempt" in story.comment_text()

    def test_that_is_queued_for_hours_has_not_begun(self) -> None:
        story = Story().file_ready_task().assign()
        story.advance(hours=1).apply(AgentSeen(1, SessionState.QUEUED, story.now))
        assert stalled(story) == ("no acknowledgement", "`codex` accepted the task but has not started.")
        assert "have not started" in story.effects_of_type(MessageAgent)[0].text

    def test_without_a_plan_is_let_go_and_the_work_goes_on(self) -> None:
        story = Story(plan="agent").file_ready_task().assign("oracle", role=Role.PLAN).start_run()
        assert stalled(story) == ("no push", "`oracle` is running but has delivered no plan.")
        story.reach_deadline(DeadlineKind.STALL)
        assert (story.task.status, story.task.failure_count) == (Status.READY, 0)
        assert story.task.failed_plan

    def test_that_reviews_is_replaced_and_the_work_stays(self) -> None:
        story = mergeable(merge={"review": "agent"}).assign("claude", role=Role.REVIEW)
        story.agents = (agent("claude", roles={"review"}), agent("oracle", roles={"review"}))
        assert stalled(story) == ("reviewer", "`claude` has not finished its review of #7.")
        assert "you have not given a verdict" in story.effects_of_type(MessageAgent)[0].text
        story.report_trial_merge()
        story.reach_deadline(DeadlineKind.STALL)
        assert (story.task.status, story.task.review_lease) == (Status.REVIEW, None)
        assert story.task.history[-1].outcome == "stalled"


class TestProgress:
    def test_clears_flag_rung_and_call(self) -> None:
        story = at_work()
        story.agents = ()
        story.reach_deadline(DeadlineKind.STALL)
        story.reach_deadline(DeadlineKind.STALL)
        assert story.task.escalation
        story.apply(AgentSeen(1, SessionState.WORKING, story.now, from_push=True))
        assert story.has_event(EventType.STALL_ENDED)
        assert story.has_event(EventType.ESCALATION_ENDED)
        assert (story.task.stall, story.task.escalation) == (None, None)
        assert not {Flag.STALLED, Flag.NEEDS_HUMAN} & story.task.flags.keys()
        again = next(d for d in deadlines_of(story.task, TIMES) if d.kind is DeadlineKind.STALL)
        assert again.due_at == story.now + 2 * HOUR, "and the wait restarts"

    @pytest.mark.parametrize("how", ["push", "draft", "progress", "label"])
    def test_is_many_things(self, how: str) -> None:
        story = at_work()
        story.reach_deadline(DeadlineKind.STALL)
        match how:
            case "push":
                story.apply(AgentSeen(1, SessionState.WORKING, story.now, from_push=True))
            case "draft":
                story.see_pull(draft=True)
            case "progress":
                story.run_command("/progress half of it passes")
            case "label":
                story.remove_label("stalled")
        assert story.task.stall is None
        assert Flag.STALLED not in story.task.flags
        assert story.has_event(EventType.STALL_ENDED)

    def test_of_a_pause_nothing_is_asked(self) -> None:
        story = at_work()
        story.reach_deadline(DeadlineKind.STALL)
        story.run_command("/pause")
        assert story.task.stall is None
        story.run_command("/resume")
        assert story.task.stall is None
        due = {d.kind: d.due_at for d in deadlines_of(story.task, TIMES)}
        assert due[DeadlineKind.STALL] == story.now + 2 * HOUR


class TestCi:
    def test_that_waits_for_approval_calls_a_person_soon(self) -> None:
        story = waiting(handed_in(), CheckWaitReason.APPROVAL)
        since = story.now
        assert stalled(story)[0] == "CI never started: approval"
        assert story.now - since <= TIMES.ack + timedelta(minutes=1)
        [call] = story.effects_of_type(Escalate)
        assert "do not start until a person approves them" in call.body
        assert "*Approve and run workflows*" in call.body
        [again] = [d.due_at for d in deadlines_of(story.task, TIMES) if d.kind is DeadlineKind.STALL]
        assert again == story.now + 2 * HOUR, "who waits for a person asks GitHub seldom"
        waiting(story, CheckWaitReason.RUNNING)
        assert (story.task.stall, story.task.escalation) == (None, None), "a user approved"

    def test_a_timely_approval_prevents_the_escalation(self) -> None:
        story = waiting(handed_in(), CheckWaitReason.APPROVAL)
        waiting(story, CheckWaitReason.QUEUED)
        due = {d.kind: d.due_at for d in deadlines_of(story.task, TIMES)}
        assert due[DeadlineKind.STALL] == story.now + 2 * HOUR

    @pytest.mark.parametrize(
        ("wait", "cause", "reason"),
        [
            (CheckWaitReason.NOTHING, "CI never started", "No check of #7 has started."),
            (CheckWaitReason.QUEUED, "CI never started", "The checks of #7 are queued, but no runner has started one."),
            (CheckWaitReason.RUNNING, "CI slow", "The checks of #7 have not finished."),
        ],
    )
    def test_that_does_not_start_or_end_is_asked_for_again_and_then_a_person(
        self, wait: CheckWaitReason, cause: str, reason: str
    ) -> None:
        story = waiting(handed_in(), wait)
        assert stalled(story) == (cause, reason)
        assert story.effects_of_type(RequestTrialMerge)
        assert not story.effects_of_type(Escalate)
        story.reach_deadline(DeadlineKind.STALL)
        assert story.effects_of_type(Escalate)

    def test_that_begins_at_last_has_moved(self) -> None:
        story = waiting(handed_in(), CheckWaitReason.QUEUED)
        stalled(story)
        waiting(story, CheckWaitReason.RUNNING)
        assert story.task.stall is None

    def test_that_a_conflict_keeps_from_starting(self) -> None:
        story = waiting(handed_in(), CheckWaitReason.NOTHING)
        known = replace(story.pull, trial_merge=TrialMerge(clean=False, base_sha=OTHER_SHA))
        story.current_task = replace(story.task, pull=known)
        cause, reason = stalled(story)
        assert cause == "CI never started: conflict"
        assert "it conflicts with `main`" in reason
        assert story.effects_of_type(RequestTrialMerge), "the rule for conflicts is asked"


class TestReviewAndMerge:
    def test_a_review_names_whom_it_waits_for(self) -> None:
        story = mergeable(merge={"review": "person"})
        assert stalled(story) == ("review waiting", "#7 waits for a review by `alice`.")
        [word] = story.effects_of_type(Comment)
        assert (word.number, word.body.split("**")[0]) == (7, "@alice ")
        story.report_trial_merge()
        story.reach_deadline(DeadlineKind.STALL)
        assert story.effects_of_type(Escalate)
        story.review_pull("approved")
        assert (story.task.stall, story.task.escalation) == (None, None)

    def test_who_answers_has_time_and_is_not_called(self) -> None:
        story = mergeable(merge={"review": "person"})
        stalled(story)
        before = story.advance(minutes=20).task.stall
        assert before
        story.apply(EscalationAnswered(MALLORY, "read", "answer"))
        assert story.task.stall == before
        story.apply(EscalationAnswered(ALICE, "none", "answer"))
        assert story.task.stall
        assert story.task.stall.next_at == story.now + before.threshold
        assert "`alice` answered." in story.task.flags[Flag.STALLED]
        there = story.task.stall
        story.apply(EscalationAnswered(ALICE, "none", "answer"))
        assert story.task.stall == there, "once: more words are no more time"

    def test_a_dry_run_notifies_no_one(self) -> None:
        story = mergeable(merge={"review": "person"}, dry_run=True)
        stalled(story)
        assert not story.effects_of_type(Comment)
        assert "Dry run: the bot would notify `alice`." in story.task.flags[Flag.STALLED]

    def test_no_agent_can_review(self) -> None:
        story = mergeable(merge={"review": "agent"}).assign(None, "no agent is free: codex wrote it", role=Role.REVIEW)
        reason = "#7 waits for a review by an agent (no agent is free: codex wrote it), or by `alice`."
        assert stalled(story) == ("review waiting", reason)

    @pytest.mark.parametrize("heard", [True, False])
    def test_criteria_that_remain_unticked(self, heard: bool) -> None:
        """The person who has to tick them is notified even while mergeability is unknown."""
        story = Story().file_ready_task().reach_review()
        story.report_checks(SUCCESS)
        if heard:
            story.report_trial_merge()
        cause, reason = stalled(story)
        assert cause == "criteria waiting"
        assert reason.startswith("#7 is not merged: 1 of 1 acceptance criteria are not ticked")

    def test_a_button_that_is_not_pressed(self) -> None:
        reason = "Nothing is missing: #7 waits to be merged by `alice`."
        assert stalled(mergeable(merge={"auto": False})) == ("merge waiting", reason)

    @pytest.mark.parametrize(
        ("said", "cause"),
        [
            ("Changes must be made through the merge queue", "merge queue"),
            ("At least 2 approving reviews are required", "merge refused"),
            (None, "merge queue"),
        ],
    )
    def test_a_merge_that_github_does_not_do(self, said: str | None, cause: str) -> None:
        story = mergeable(merge={"auto": True})
        for _ in range(2 if said else 0):
            story.apply(MergeRefused(7, SHA, said or ""))
        assert stalled(story)[0] == cause
        story.report_trial_merge()
        story.reach_deadline(DeadlineKind.STALL)
        assert story.effects_of_type(Escalate), "it was asked for again, and a person is told"

    def test_a_check_that_is_required_and_never_ran(self) -> None:
        story = handed_in(merge={"auto": True})
        story.report_checks(ChecksState.NONE)
        story.report_trial_merge()
        for _ in range(2):
            story.apply(MergeRefused(7, SHA, 'Required status check "tests" is expected.'))
        assert stalled(story)[0] == "CI never started"

    def test_what_is_merged_and_not_done(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.merge_pull()
        story.report_checks(SUCCESS)
        cause, reason = stalled(story)
        assert cause == "not done"
        assert reason.startswith("#7 is merged, but the task is not done: 1 of 1 acceptance criteria")

    def test_no_escalation_for_a_task_that_waits_for_another(self) -> None:
        story = mergeable()
        story.report_trial_merge(conflicting_pulls=(conflicting_pull(9, first=True, waits=Precedence.THIS),))
        assert stalled(story)[0] == "waits for others"
        for _ in range(3):
            story.report_trial_merge(conflicting_pulls=(conflicting_pull(9, first=True, waits=Precedence.THIS),))
            story.reach_deadline(DeadlineKind.STALL)
            assert not story.effects_of_type(Escalate, Comment)

    def test_the_claimant_is_notified(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/claim", author=BOB)
        assert stalled(story) == ("claimed", "`bob` took the task and has shown no progress since.")
        assert story.effects_of_type(Comment)[0].body.startswith("@bob ")

    def test_no_answer_explains_nothing_better_than_what_was_known(self) -> None:
        story = mergeable(merge={"review": "person"})
        stalled(story)
        story.reach_deadline(DeadlineKind.STALL)  # the trial merge that was asked for again has not come
        assert story.task.stall
        assert story.task.stall.cause is StallCause.REVIEW

    def test_another_call_is_not_replaced(self) -> None:
        story = at_work()
        story.agents = ()
        story.run_command("/escalate the server is down")
        story.reach_deadline(DeadlineKind.STALL)
        story.reach_deadline(DeadlineKind.STALL)
        assert not story.effects_of_type(Escalate)
        assert "The bot has already called for a person for another reason." in story.task.flags[Flag.STALLED]


class TestHowLong:
    def test_the_more_urgent_the_sooner(self) -> None:
        after = [stall_threshold(replace(at_work().task, priority=priority), TIMES) for priority in Priority]
        assert after == [HOUR, 1.5 * HOUR, 2 * HOUR]
        own = Timeouts(stall_by_priority={"P0": timedelta(minutes=10)})
        assert stall_threshold(replace(at_work().task, priority=Priority.P0), own) == timedelta(minutes=10)

    def test_a_figure_that_could_never_be_reached_is_a_mistake(self) -> None:
        text = "version: 1\nagents: {}\ntimeouts:\n  attempt: 4h\n  stall_by_priority: {P1: 5h}\n"
        with pytest.raises(ConfigError, match="P1 is longer than `attempt`"):
            parse_repository_config(text)

    def test_a_few_attempts_teach_nothing(self) -> None:
        assert learned_work_time([9e9] * (MIN_OBSERVATIONS - 1)) is None
        assert learned_work_time([3600.0] * MIN_OBSERVATIONS) == 1.5 * HOUR

    @given(
        learned=st.none() | st.timedeltas(min_value=timedelta(), max_value=timedelta(days=30)),
        priority=st.sampled_from(Priority),
        stall=st.integers(1, 480),
    )
    def test_what_is_learned_has_a_floor_and_a_ceiling(
        self, learned: timedelta | None, priority: Priority, stall: int
    ) -> None:
        times = Timeouts(stall=timedelta(minutes=stall))
        story = at_work()
        patience = LearnedTimeout(TIMES.ack, TIMES.heartbeat, learned)
        task = replace(story.task, priority=priority, lease=replace(story.lease, learned_timeout=patience))
        after, configured = stall_threshold(task, times), times.stall_timeout(priority.value)
        assert configured <= after <= max(configured, min(3 * configured, times.attempt))
        if learned and configured <= learned <= min(3 * configured, times.attempt):
            assert after == learned
        assert timedelta() < escalate_after(after) < after

    def test_it_is_explained(self) -> None:
        story = at_work()
        story.run_command("/explain")
        assert "It counts as stalled after 2 h without progress (2 h for a P2)." in story.comment_text()
        patience = LearnedTimeout(TIMES.ack, TIMES.heartbeat, 4 * HOUR)
        story.current_task = replace(story.task, lease=replace(story.lease, learned_timeout=patience))
        story.run_command("/explain")
        learned = "by this repository's latest attempts, an agent may take 4 h to hand in"
        assert f"It counts as stalled after 4 h without progress (2 h for a P2; {learned})." in story.comment_text()


def test_every_cause_ends_with_a_person_or_another_look() -> None:
    assert ESCALATION_STEPS.keys() == set(StallCause)
    for cause, ladder in ESCALATION_STEPS.items():
        ends = {StallCause.QUESTION: EscalationStep.RECHECK, StallCause.WAITS_FOR_OTHERS: EscalationStep.RECHECK}
        assert ladder[-1] is ends.get(cause, EscalationStep.ESCALATE)
