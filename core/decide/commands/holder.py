"""Implements commands of the holder of a task, and `/claim`."""

from __future__ import annotations

from collections.abc import Collection

from core.audit.events import EventType
from core.commands.permissions import is_lease_holder
from core.decide.agents import record_heartbeat, start_attempt
from core.decide.attempts import end_attempt, fail_attempt, send_back
from core.decide.builder import DecisionBuilder
from core.decide.commands import plan_review
from core.decide.commands.base import CommandRejected, first_word, gaps_text
from core.decide.commands.maintainer import assign_to, reject_if_merged, reject_if_not_assignable, start_over
from core.decide.completion import evaluate_completion, retry_refused_merge
from core.decide.leases import handoff_packet
from core.decide.pulls import check_pull, start_review
from core.decide.readiness import check_readiness
from core.handoff.feedback import Feedback
from core.review.definition_of_done import done_blockers, merge_blockers
from core.signals.base import CommandReceived
from core.task.lifecycle import Trigger, can_apply
from core.task.model import Lease, Role, Status
from core.text_safety.sanitize import clean, defuse, mask_secrets, one_line
from core.texts import handoff_text


def claim_task(builder: DecisionBuilder, signal: CommandReceived) -> str | None:
    """`/claim`: take the task, or fetch the hand-off of an assigned one."""
    if builder.task.status is Status.FAILED:
        start_over(builder, signal)  # a person finishes what agents did not
    task = builder.task
    if task.lease and task.lease.worker and is_lease_holder(task.lease, signal.actor, signal.agent_names):
        return _fetch_handoff(builder, task.lease)
    if task.status is Status.IN_PROGRESS and task.lease:
        raise CommandRejected(f"`{task.lease.agent}` is working on this task. Release it first with `/release`.")
    reject_if_not_assignable(task, "claimed")
    if signal.agent_names is not None:
        return _claim_for_agent(builder, signal, signal.agent_names)
    lease = start_attempt(builder, signal.actor.login, None, holder=signal.actor)
    builder.add_event(EventType.TASK_ASSIGNED, actor=signal.actor.login, reason="claimed")
    return handoff_text(handoff_packet(builder, lease))


def _fetch_handoff(builder: DecisionBuilder, lease: Lease) -> str:
    """Acknowledge the task for an agent and return its hand-off."""
    task = builder.task
    if task.approved_digest != task.text_digest:
        raise CommandRejected(
            "The issue text has changed and needs approval: a person with write access must comment `/ready`."
        )
    record_heartbeat(builder, lease)
    return handoff_text(handoff_packet(builder, lease))


def _claim_for_agent(builder: DecisionBuilder, signal: CommandReceived, workers: Collection[str]) -> str | None:
    """Claim a task for an agent: with the agent's limits and deadlines, never as a person."""
    agent = next((agent for agent in builder.context.agents if agent.name in workers), None)
    if agent is None:
        raise CommandRejected("No configured agent uses your account.")
    assign_to(builder, signal, agent)
    lease, spec = builder.task.lease, builder.policy.agents.get(agent.name)
    # For all other agents, the adapter delivers it.
    return _fetch_handoff(builder, lease) if lease and spec and spec.fetches_work else None


def release_task(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """`/release`: return the task to the queue."""
    task = builder.task
    if task.review_lease and _resolve_lease(builder, signal) is task.review_lease:
        # The work stays with its implementer; a reviewer that gives the review back is not asked for it again.
        _fail_attempt(builder, task.review_lease, "gave the review back", "")
        return
    if task.lease is None or not can_apply(task.status, Trigger.RELEASED):
        raise CommandRejected("No one holds this task.")
    reject_if_merged(task)
    builder.add_event(EventType.TASK_RELEASED, actor=signal.actor.login)
    end_attempt(builder, "released", f"released by @{signal.actor.login}", counts_against_agent=False)
    builder.transition(Trigger.RELEASED)
    check_readiness(builder)


def check_completion(builder: DecisionBuilder, signal: CommandReceived) -> str | None:
    """`/complete`: check whether the task is done."""
    task = builder.task
    if task.status is Status.DONE:
        return "The task is done."
    retry_refused_merge(builder)
    evaluate_completion(builder)
    task = builder.task
    if task.status is Status.DONE:
        return None
    if not (task.pull and task.pull.open):
        raise CommandRejected(gaps_text("The task is not done yet", done_blockers(task)))
    if gaps := merge_blockers(task, builder.policy.merge.review):
        raise CommandRejected(gaps_text("The pull request cannot be merged yet", gaps))
    if task.pull.merge_requested_sha == task.pull.head_sha:
        return "Nothing is missing; the bot is merging the pull request."
    return f"Nothing is missing: #{task.pull.number} can be merged."


def _resolve_lease(builder: DecisionBuilder, signal: CommandReceived) -> Lease:
    """The lease that the command is about: the reviewer's if the reviewer sends it, else the holder's."""
    task = builder.task
    is_holder = is_lease_holder(task.lease, signal.actor, signal.agent_names)
    if task.review_lease and not is_holder and is_lease_holder(task.review_lease, signal.actor, signal.agent_names):
        return task.review_lease
    return _require_lease(builder)


def _require_lease(builder: DecisionBuilder) -> Lease:
    if builder.task.lease is None:
        raise CommandRejected("No one holds this task.")
    return builder.task.lease


def report_heartbeat(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """`/heartbeat`: the holder still works."""
    record_heartbeat(builder, _resolve_lease(builder, signal))


def report_progress(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """`/progress`: show the progress on the card."""
    lease = _resolve_lease(builder, signal)
    text = defuse(one_line(mask_secrets(signal.argument), 300))
    if not text:
        raise CommandRejected("Describe the progress: `/progress half of the tests pass`.")
    record_heartbeat(builder, lease)
    builder.record_progress()
    builder.update_lease(builder.task.find_lease(lease.attempt) or lease, progress=text)


def review(builder: DecisionBuilder, signal: CommandReceived) -> str | None:
    """`/review`: hand in the work; with `approve` or `changes`, the verdict of a reviewer."""
    if first_word(signal.argument) in ("approve", "changes"):
        plan_review.submit_review(builder, signal)
        return None
    lease = _require_lease(builder)
    pull = builder.task.pull
    if pull is None or not pull.open:
        raise CommandRejected(
            f"There is no open pull request yet. Open one from `{lease.branch}` and the bot will pick it up."
        )
    record_heartbeat(builder)
    builder.record_progress()
    if builder.task.status is Status.IN_PROGRESS:
        start_review(builder)
    else:
        check_pull(builder, pull)
    return (
        f"The bot checks #{pull.number} now, but merges it only when it is no longer a draft." if pull.draft else None
    )


def give_up(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """`/fail`: end the attempt."""
    lease = _resolve_lease(builder, signal)
    if not can_apply(builder.task.status, Trigger.SENT_BACK):
        raise CommandRejected(f"There is no attempt to end: the task is {builder.task.status}.")
    reject_if_merged(builder.task)
    reason = defuse(clean(mask_secrets(signal.argument), 1_000)).strip()
    if not reason:
        raise CommandRejected("Give a reason for the next attempt: `/fail the API has no such call`.")
    if lease.role is not Role.IMPLEMENT:
        _fail_attempt(builder, lease, "gave up", reason)
        return
    send_back(
        builder,
        Feedback(f"fail:{lease.attempt}", f"{lease.agent} gave up", reason, builder.now),
        counts_against_agent=lease.holder_id is None,  # a person owes nothing
    )


def _fail_attempt(builder: DecisionBuilder, lease: Lease, event: str, reason: str) -> None:
    """Fail a planner or reviewer at its own request; this never counts against the work."""
    feedback = Feedback(f"fail:{lease.attempt}", f"{lease.agent} {event}", reason, builder.now)
    fail_attempt(builder, lease, feedback, cancel=False, details=reason)
