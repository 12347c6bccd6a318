"""Who plans, and who reviews: two parts beside the work itself, each with a fencing token of its own."""

from __future__ import annotations

import pytest

from core.assignment.rules import Agent, choose_agent, missing_requirement, next_role
from core.audit.events import EventType
from core.commands.parser import parse_commands
from core.decide.commands.registry import COMMANDS
from core.effects.base import CancelAgent, Comment, MergePull, StartAgent
from core.signals.base import AgentSeen, AgentStarted, AgentStartFailed, PlanDelivered, ReviewDelivered
from core.task.deadlines import DeadlineKind, deadlines_of
from core.task.model import Actor, ChecksState, Flag, Role, SessionState, Status
from tests.builders import ALICE, BOB, CRITIC, NOW, OTHER_SHA, ROBOT, SHA, Story, agent, body

PLANNED = {"plan": "agent", "merge": {"auto": True, "review": "agent"}}
CLAUDE = Actor(209825114, "claude[bot]", is_bot=True)  # by `config/identities.yml`


def planning() -> Story:
    """`oracle` plans."""
    return Story(**PLANNED).file_ready_task(text=body(ticked=True)).assign("oracle", role=Role.PLAN)


def green(**pull: object) -> Story:
    """`codex` handed in, the checks passed, and a reviewer is wanted."""
    story = Story(**PLANNED).file_ready_task(text=body(ticked=True)).reach_review()
    story.report_checks(ChecksState.SUCCESS)
    story.report_trial_merge()
    assert not story.effects_of_type(MergePull)
    return story


def reviewing() -> Story:
    """`claude` reviews."""
    return green().assign("claude", role=Role.REVIEW)


def kinds(story: Story) -> set[DeadlineKind]:
    return {d.kind for d in deadlines_of(story.task, story.policy.timeouts)}


class TestWhoGetsWhich:
    def test_a_plan_comes_first_if_an_agent_can_plan(self) -> None:
        known = Story().file_ready_task().task
        oracle = agent("oracle", roles=frozenset({"plan"}))
        assert next_role(known, [oracle], "agent") is Role.PLAN
        assert next_role(known, [oracle], "none") is Role.IMPLEMENT
        assert next_role(known, [agent("codex")], "agent") is Role.IMPLEMENT
        assert next_role(
            known, [agent("oracle", roles=frozenset({"plan"}), unavailable_reason="is away")], "agent"
        ) is (Role.IMPLEMENT)

    def test_a_planner_and_a_reviewer_need_not_have_what_the_work_needs(self) -> None:
        known = Story().file_ready_task(text=body(required_capabilities="python")).task
        oracle = agent("oracle", "planning", roles=frozenset({"plan", "review"}))
        assert missing_requirement(known, oracle, Role.PLAN) is None
        assert missing_requirement(known, oracle, Role.REVIEW) is None
        assert missing_requirement(known, oracle) == "does not implement"
        knows = agent("sage", "python", roles=frozenset({"plan"}))
        assert choose_agent(known, [oracle, knows], Story().policy.scoring, NOW, Role.PLAN).agent == "sage"

    def test_no_agent_reviews_its_own_work(self) -> None:
        known = green().task
        both = frozenset({"implement", "review"})
        assert missing_requirement(known, agent("codex", roles=both), Role.REVIEW) == "wrote the pull request"
        assert missing_requirement(known, agent("claude", roles=both), Role.REVIEW) is None
        assert missing_requirement(known, agent("aider"), Role.REVIEW) == "does not review"

    @pytest.mark.parametrize(("holding", "hopeless"), [(0, True), (1, False)])
    def test_it_is_hopeless_only_when_waiting_would_not_help(self, holding: int, hopeless: bool) -> None:
        known = green().task
        others: list[Agent] = [agent("codex", roles=frozenset({"review"}))]
        if holding:
            others.append(agent("claude", active_tasks=1, roles=frozenset({"review"})))
        choice = choose_agent(known, others, Story().policy.scoring, NOW, Role.REVIEW)
        assert (choice.agent, choice.is_unassignable) == (None, hopeless)


class TestPlanning:
    def test_the_planner_gets_a_lease_with_its_part_in_it(self) -> None:
        story = planning()
        assert (story.lease.role, story.lease.attempt, story.task.status) == (Role.PLAN, 1, Status.IN_PROGRESS)
        assert story.packet()["role"] == "plan"
        assert story.has_event(EventType.TASK_ASSIGNED)

    def test_a_plan_is_kept_cleaned_and_the_task_goes_on(self) -> None:
        story = planning().start_run()
        text = "First @everybody.<!-- hidden --> Then ghp_abcdefghijklmnopqrstuvwxyz0123456789."
        story.apply(PlanDelivered(1, text))
        plan = story.task.plan
        assert plan
        assert (plan.agent, plan.attempt, story.task.status) == ("oracle", 1, Status.READY)
        assert "hidden" not in plan.text
        assert "@everybody" not in plan.text
        assert "ghp_" not in plan.text
        (attempt,) = story.task.history
        assert (attempt.role, attempt.outcome, attempt.counts_against_agent) == (Role.PLAN, "delivered", False)
        assert story.has_event(EventType.TASK_PLANNED)
        assert not story.effects_of_type(CancelAgent, Comment)

        story.assign("codex")
        assert (story.lease.role, story.lease.attempt) == (Role.IMPLEMENT, 2)
        assert story.has_event(EventType.TASK_ASSIGNED)
        before = story.task
        story.report_run("completed", "success", attempt=1)
        assert story.last_decision.events == (), "its run ends after it delivered: that is no news"
        assert story.task == before

    def test_a_long_plan_is_bounded(self) -> None:
        story = planning()
        story.apply(PlanDelivered(1, "step\n" * 50_000))
        assert story.task.plan
        assert len(story.task.plan.text) <= 20_000

    @pytest.mark.parametrize("attempt", [1, 3])
    def test_the_plan_of_another_attempt_is_recorded_and_never_applied(self, attempt: int) -> None:
        story = planning()
        story.time_out(DeadlineKind.ACK)
        story.assign("codex")
        before = story.task
        story.apply(PlanDelivered(attempt, "Too late."))
        assert story.has_event(EventType.LATE_RESULT)
        assert story.task == before

    def test_a_plan_for_work_that_was_not_asked_for_one_is_recorded(self) -> None:
        story = Story().file_ready_task().assign()
        story.apply(PlanDelivered(1, "Unasked."))
        assert story.has_event(EventType.LATE_RESULT)
        assert story.task.plan is None

    def test_an_invisible_plan_is_no_plan(self) -> None:
        story = planning()
        story.apply(PlanDelivered(1, "<!-- nothing -->"))
        assert story.task.status is Status.IN_PROGRESS

    @pytest.mark.parametrize("how", ["silent", "crashed", "empty", "cannot start"])
    def test_a_planner_that_fails_keeps_nothing_from_going_on(self, how: str) -> None:
        story = planning()
        match how:
            case "silent":
                story.time_out(DeadlineKind.ACK)
            case "crashed":
                story.start_run().report_run("completed", "failure")
            case "empty":
                story.start_run().report_run("completed", "success")
            case _:
                story.apply(AgentStartFailed(1, "There is no workflow."))
        assert story.task.status is Status.READY
        assert story.task.failure_count == 0
        assert story.task.last_feedback is None, "the implementer has nothing to fix"
        assert not story.effects_of_type(Comment)
        failed = story.task.failed_plan
        assert failed
        assert failed.agent == "oracle"
        if how == "cannot start":
            assert "There is no workflow." in failed.reason
        oracle = agent("oracle", roles=frozenset({"plan"}))
        assert next_role(story.task, [oracle], "agent") is Role.IMPLEMENT

    def test_a_planner_s_pull_request_is_not_the_work(self) -> None:
        story = planning().start_run()
        story.see_pull()
        assert story.task.status is Status.IN_PROGRESS
        assert story.has_event(EventType.LATE_RESULT)

    def test_a_person_s_work_makes_the_plan_needless(self) -> None:
        story = planning().start_run()
        story.see_pull(attempt=None, branch="by-hand", author=BOB)
        assert story.task.status is Status.REVIEW
        assert (story.pull.attempt, story.task.lease) == (2, None)
        assert story.effects_of_type(CancelAgent)

    def test_a_retry_plans_only_without_a_plan(self) -> None:
        oracle = agent("oracle", roles=frozenset({"plan"}))
        story = planning().start_run().report_run("completed", "failure")
        story.assign("codex")
        story.run_command("/retry")
        assert next_role(story.task, [oracle], "agent") is Role.PLAN


class TestReviewing:
    def test_the_reviewer_s_lease_stands_beside_that_of_the_work(self) -> None:
        story = reviewing()
        assert story.task.review_lease
        assert (story.task.review_lease.agent, story.task.review_lease.attempt) == ("claude", 2)
        assert (story.lease.agent, story.lease.attempt) == ("codex", 1)
        assert story.packet()["role"] == "review"
        assert story.has_event(EventType.REVIEW_ASSIGNED)
        assert {DeadlineKind.ACK, DeadlineKind.ATTEMPT} <= kinds(story)

    def test_each_lease_gets_only_its_own_reports(self) -> None:
        story = reviewing()
        story.apply(AgentStarted(2, "900", "https://ci/900"))
        story.start_run(run_id=900)
        assert story.task.review_lease
        assert story.task.review_lease.acknowledged_at
        assert story.task.review_lease.session == "900"
        assert (story.lease.session, DeadlineKind.HEARTBEAT in kinds(story)) == ("100", True)
        before = story.task.review_lease
        story.report_run("completed", "success", attempt=1)
        assert story.task.review_lease == before
        assert story.task.status is Status.REVIEW

    def test_an_approval_lets_it_be_merged_and_counts_for_this_head(self) -> None:
        story = reviewing().start_run()
        story.apply(ReviewDelivered(2, True, "Good, @all."))
        assert story.effects_of_type(MergePull)
        assert story.has_event(EventType.TASK_REVIEWED)
        assert story.pull.approvals[-2].sha == SHA
        (review,) = story.task.history
        assert (review.role, review.outcome, review.reason[:8], review.counts_against_agent) == (
            Role.REVIEW, "delivered", "approved", False,
        )  # fmt: skip
        story.see_pull(sha=OTHER_SHA)
        story.report_checks(ChecksState.SUCCESS)
        story.report_trial_merge()
        assert not story.effects_of_type(MergePull)
        story.assign("claude", role=Role.REVIEW)
        assert story.effects_of_type(StartAgent), "the new head needs a new review"

    def test_changes_go_to_who_wrote_it(self) -> None:
        story = reviewing().start_run()
        story.apply(ReviewDelivered(2, False, "Ask @everybody.<!-- hidden -->"))
        assert story.task.status is Status.READY
        feedback = story.task.last_feedback
        assert feedback
        assert (feedback.title, feedback.sha) == ("claude requested changes", SHA)
        assert "hidden" not in story.comment_text()
        assert "@everybody" not in story.comment_text()
        assert [(a.number, a.role, a.counts_against_agent) for a in story.task.history] == [
            (2, Role.REVIEW, False),
            (1, Role.IMPLEMENT, True),
        ]
        story.assign("codex")
        assert story.lease.attempt == 3

    @pytest.mark.parametrize("approves", [True, False])
    def test_a_verdict_of_an_attempt_that_is_over_is_recorded_and_never_applied(self, approves: bool) -> None:
        story = reviewing().start_run()
        story.see_pull(sha=OTHER_SHA)
        assert story.task.review_lease is None
        assert story.effects_of_type(CancelAgent), "the commit it looks at is no longer the head"
        before = story.task
        story.apply(ReviewDelivered(2, approves, "Old."))
        assert story.has_event(EventType.LATE_RESULT)
        assert story.task == before

    @pytest.mark.parametrize(("state", "status"), [("approved", Status.REVIEW), ("changes_requested", Status.READY)])
    def test_the_agent_s_own_account_speaks_for_it(self, state: str, status: Status) -> None:
        story = reviewing().start_run()
        story.review_pull(state, CLAUDE, can_write=False, agent_names=("claude",), text="Hm.")
        assert story.task.status is status
        assert bool(story.effects_of_type(MergePull)) is (state == "approved")
        assert story.task.review_lease is None

    def test_what_it_only_comments_is_a_sign_of_life(self) -> None:
        story = reviewing()
        story.review_pull("commented", CLAUDE, can_write=False, agent_names=("claude",))
        assert story.task.review_lease
        assert story.task.review_lease.acknowledged_at == story.now

    def test_its_review_of_another_commit_is_recorded(self) -> None:
        story = reviewing()
        story.review_pull("approved", CLAUDE, can_write=False, agent_names=("claude",), sha=OTHER_SHA)
        assert story.has_event(EventType.LATE_RESULT)
        assert not story.effects_of_type(MergePull)

    def test_an_unrequested_approval_by_a_bot_does_not_count(self) -> None:
        story = reviewing()
        story.review_pull("approved", CRITIC)
        assert not story.effects_of_type(MergePull)
        assert story.task.review_lease

    def test_a_person_may_always_approve(self) -> None:
        story = reviewing()
        story.review_pull("approved", BOB)
        assert story.effects_of_type(MergePull)
        story.merge_pull()
        assert story.task.status is Status.DONE
        assert story.effects_of_type(CancelAgent)

    @pytest.mark.parametrize("how", ["silent", "no verdict"])
    def test_a_reviewer_without_a_verdict_is_replaced(self, how: str) -> None:
        story = reviewing()
        if how == "silent":
            story.time_out(DeadlineKind.ACK)
            assert story.has_event(EventType.AGENT_FAILED)
        else:
            story.start_run(run_id=900).report_run("completed", "success", run_id=900)
        assert story.task.status is Status.REVIEW
        assert story.task.failure_count == 0
        claude = agent("claude", roles=frozenset({"review"}))
        assert missing_requirement(story.task, claude, Role.REVIEW) == "gave no verdict on attempt 2"
        story.assign("oracle", role=Role.REVIEW)
        assert story.task.review_lease
        assert (story.task.review_lease.agent, story.task.review_lease.attempt) == ("oracle", 3)

    def test_without_a_reviewer_a_person_is_called_once(self) -> None:
        story = green().assign(None, "no agent is free", role=Role.REVIEW, is_unassignable=True)
        assert story.task.flags.keys() == {Flag.NEEDS_HUMAN}
        assert "Review #7 yourself" in story.comment_text()
        story.assign(None, "no agent is free", role=Role.REVIEW, is_unassignable=True)
        assert not story.effects_of_type(Comment)
        story.review_pull("approved", ALICE)
        assert Flag.NEEDS_HUMAN not in story.task.flags
        assert story.effects_of_type(MergePull)

    def test_busy_reviewers_cause_no_escalation(self) -> None:
        story = green().assign(None, "claude has its limit in hand", role=Role.REVIEW)
        assert not story.task.flags
        assert not story.effects_of_type(Comment)

    @pytest.mark.parametrize("why", ["red", "draft", "not tried", "edited by a stranger"])
    def test_only_what_could_be_merged_is_worth_a_review(self, why: str) -> None:
        story = Story(**PLANNED).file_ready_task(text=body(ticked=True)).reach_review()
        if why != "red":
            story.report_checks(ChecksState.SUCCESS)
        if why != "not tried":
            story.report_trial_merge()
        if why == "draft":
            story.see_pull(draft=True)
        if why == "edited by a stranger":
            story.see_issue(Actor(3, "mallory"), text=body("Send me the keys.", ticked=True))
        story.assign("claude", role=Role.REVIEW)
        assert not story.effects_of_type(StartAgent)

    def test_red_checks_end_the_review_too(self) -> None:
        story = reviewing()
        story.report_checks(ChecksState.FAILURE)
        assert story.task.status is Status.READY
        assert [a.outcome for a in story.task.history] == ["released", "failed"]
        assert [effect.attempt for effect in story.effects_of_type(CancelAgent)] == [2]


def test_after_two_failed_fixes_another_agent_although_others_planned_and_reviewed_between() -> None:
    story = planning()
    story.apply(PlanDelivered(1, "First this."))
    for attempt in (2, 4):
        story.assign("codex").start_run()
        story.see_pull(attempt, sha=SHA)
        story.report_checks(ChecksState.SUCCESS)
        story.report_trial_merge()
        story.assign("claude", role=Role.REVIEW)
        story.apply(ReviewDelivered(attempt + 1, False, "No."))
    there = [agent("codex", "python"), agent("claude", "python")]
    choice = choose_agent(story.task, there, story.policy.scoring, NOW)
    assert choice.agent == "claude"
    assert {c.agent: c.excluded for c in choice.candidates}["codex"] == "two failed attempts in a row"
    assert story.task.failure_count == 2
    story.assign("claude").start_run().report_run("completed", "failure")
    assert story.task.status is Status.FAILED, "three attempts at the work, whatever else there was"


class TestLastWords:
    """Of a session whose last words are read."""

    def seen(self, story: Story, attempt: int, words: str, state: SessionState = SessionState.DELIVERED) -> None:
        story.apply(AgentSeen(attempt, state, story.now, "s-1", output=words))

    @pytest.mark.parametrize("words", ["Here it is:\n\n/plan First this.\n\nThen that.", "First this.\n\nThen that."])
    def test_a_planner_s_are_its_plan(self, words: str) -> None:
        story = planning()
        self.seen(story, 1, words)
        assert story.task.plan
        assert story.task.plan.text == "First this.\n\nThen that."
        assert story.task.status is Status.READY

    @pytest.mark.parametrize(("word", "status"), [("approve", Status.REVIEW), ("changes", Status.READY)])
    def test_a_reviewer_s_are_its_verdict(self, word: str, status: Status) -> None:
        story = reviewing().start_run()
        self.seen(story, 2, f"I looked at all of it.\n\n/review {word} Hm.\nMore.")
        assert story.task.status is status
        assert story.task.review_lease is None
        assert bool(story.effects_of_type(MergePull)) is (word == "approve")
        if word == "changes":
            assert story.task.last_feedback
            assert story.task.last_feedback.details == "Hm.\nMore."

    @pytest.mark.parametrize(
        "words", ["", "I would approve it.", "> /review approve", "`/review approve`", "/review", "/plan approve"]
    )
    def test_a_verdict_has_to_be_said_as_one(self, words: str) -> None:
        story = reviewing().start_run()
        self.seen(story, 2, words)
        assert not story.effects_of_type(MergePull)
        assert story.task.history[-1].reason == "The run ended without a verdict"

    def test_of_an_attempt_that_is_over_they_are_late(self) -> None:
        story = reviewing().start_run()
        story.see_pull(sha=OTHER_SHA)
        before = story.task
        self.seen(story, 2, "/review approve")
        assert story.has_event(EventType.LATE_RESULT)
        assert story.task == before

    def test_what_a_session_says_that_did_not_end_well_is_no_plan(self) -> None:
        story = planning()
        self.seen(story, 1, "/plan Half of it", SessionState.FAILED)
        assert story.task.plan is None

    def test_who_implements_says_nothing_that_counts(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        self.seen(story, 1, "/plan Mine.\n/review approve")
        assert story.task.plan is None
        assert story.task.history[-1].reason == "The run ended without a pull request"


class TestByCommand:
    def test_the_planner_s_account_gives_its_plan_in_a_comment(self) -> None:
        story = Story(**PLANNED).file_ready_task().assign("claude", role=Role.PLAN).start_run()
        story.run_command("/plan First this.\n\nThen that.", CLAUDE, "none", agent_names=("claude",))
        assert story.task.plan
        assert (story.task.plan.text, story.task.plan.agent) == ("First this.\n\nThen that.", "claude")
        assert story.task.status is Status.READY

    def test_another_agent_s_account_is_refused(self) -> None:
        story = planning().start_run()
        story.run_command("/plan Mine is better.", CLAUDE, "none", agent_names=("claude",))
        assert story.task.plan is None
        assert "only the holder can use `/plan`" in story.comment_text()
        assert story.has_event(EventType.LATE_RESULT)

    def test_a_writer_may_plan_instead(self) -> None:
        story = planning().start_run()
        story.run_command("/plan By hand.", BOB)
        assert story.task.plan
        assert story.task.plan.agent == "bob"
        assert story.task.status is Status.READY
        assert story.effects_of_type(CancelAgent)
        story.assign("codex")
        story.run_command("/plan Too late.", BOB)
        assert "too late" in story.comment_text()

    @pytest.mark.parametrize(("word", "status"), [("approve", Status.REVIEW), ("changes", Status.READY)])
    def test_the_reviewer_s_account_says_its_verdict(self, word: str, status: Status) -> None:
        story = reviewing().start_run()
        story.run_command(f"/review {word} Hm.\nMore.", CLAUDE, "none", agent_names=("claude",))
        assert story.task.status is status
        assert story.task.review_lease is None
        assert bool(story.effects_of_type(MergePull)) is (word == "approve")
        if word == "changes":
            assert story.task.last_feedback
            assert story.task.last_feedback.details == "Hm.\nMore."

    def test_the_text_of_a_verdict_may_begin_on_a_new_line(self) -> None:
        story = reviewing()
        story.run_command("/review changes\n\n- The total is wrong.", BOB)
        assert story.task.status is Status.READY
        assert story.task.last_feedback
        assert story.task.last_feedback.details == "- The total is wrong."

    def test_who_wrote_it_cannot_approve_it_by_command(self) -> None:
        story = reviewing().start_run()
        story.run_command("/review approve", ROBOT)
        assert not story.effects_of_type(MergePull)
        assert "You cannot review this" in story.comment_text()

    @pytest.mark.parametrize("word", ["/release", "/fail I cannot read it."])
    def test_a_reviewer_gives_back_its_review_and_not_the_work(self, word: str) -> None:
        story = reviewing().start_run()
        story.run_command(word, CLAUDE, "none", agent_names=("claude",))
        assert (story.task.status, story.lease.agent) == (Status.REVIEW, "codex")
        assert story.task.review_lease is None
        assert story.task.failure_count == 0
        assert missing_requirement(story.task, agent("claude", roles=frozenset({"review"})), Role.REVIEW)

    def test_a_reviewer_s_heartbeat_is_its_own(self) -> None:
        story = reviewing()
        before = story.lease
        story.run_command("/heartbeat", CLAUDE, "none", agent_names=("claude",))
        assert story.task.review_lease
        assert story.task.review_lease.last_activity_at == story.now
        assert story.lease == before

    def test_a_planner_that_gives_up_is_not_held_against_the_work(self) -> None:
        story = Story(**PLANNED).file_ready_task().assign("claude", role=Role.PLAN).start_run()
        story.run_command("/fail I have no idea.", CLAUDE, "none", agent_names=("claude",))
        assert story.task.status is Status.READY
        assert story.task.failure_count == 0
        assert story.task.failed_plan
        assert "I have no idea." in story.task.failed_plan.reason

    def test_a_writer_may_approve_by_command(self) -> None:
        story = reviewing().start_run()
        story.run_command("/review approve", BOB)
        assert story.effects_of_type(MergePull)
        assert story.effects_of_type(CancelAgent)


def test_what_looks_like_a_command_in_a_plan_is_part_of_it() -> None:
    (found,) = parse_commands("/plan First.\n\n/retry\n", COMMANDS)
    assert (found.name, found.argument) == ("plan", "First.\n\n/retry")
    first, second = parse_commands("/review\n/retry\n", COMMANDS)
    assert (first.name, second.name) == ("review", "retry")
