"""Makes every decision: `decide(task, signal, context) -> Decision`.

It is pure: the same input gives the same decision. `core.assignment.rules` assigns the queue as a whole; its choices
return here as `Assigned`.
"""

from __future__ import annotations

from core.decide import (
    agent_reviews,
    agents,
    checks,
    commands,
    completion,
    conflicts,
    deadlines,
    escalation,
    github_reviews,
    holds,
    issues,
    plans,
    pulls,
    readiness,
    stalls,
    update_branch,
)
from core.decide.builder import CommandContext, Context, Decision, DecisionBuilder
from core.decide.commands import dependencies
from core.signals.base import (
    AgentMessageResult,
    AgentPollEmpty,
    AgentSeen,
    AgentStarted,
    AgentStartFailed,
    AgentUnavailable,
    Assigned,
    BaseMoved,
    BlockerCleared,
    BranchUpdateDone,
    ChecksSeen,
    CommandReceived,
    DeadlineDue,
    DependencyChanged,
    DependencyRefused,
    EscalationAnswered,
    EscalationDelivered,
    IssueSeen,
    MergeRefused,
    OverlapPredicted,
    PlanDelivered,
    PullSeen,
    QueueAdmission,
    ReviewDelivered,
    ReviewSeen,
    Signal,
    TaskCreated,
    TrialMergeDone,
)
from core.task.model import Task

__all__ = ["CommandContext", "Context", "Decision", "DecisionBuilder", "decide"]


def decide(task: Task | None, signal: Signal, context: Context) -> Decision:
    """The decision on `signal` for `task` (None: there is no such task).

    A signal that changes nothing gives a decision without events and effects; no signal is an error.
    """
    if isinstance(signal, IssueSeen):
        return issues.on_issue_seen(task, signal, context)
    if isinstance(signal, CommandReceived):
        return commands.on_command_received(task, signal, context)
    if isinstance(signal, TaskCreated):
        return commands.task.on_task_created(task, signal, context)
    if task is None or task.untracked:
        return Decision(task)
    builder = DecisionBuilder(task, context)
    match signal:
        case PullSeen():
            pulls.on_pull_seen(builder, signal)
        case ChecksSeen():
            checks.on_checks_seen(builder, signal)
        case ReviewSeen():
            github_reviews.on_review_seen(builder, signal)
        case AgentSeen():
            agents.on_agent_seen(builder, signal)
        case PlanDelivered():
            plans.on_plan_delivered(builder, signal)
        case ReviewDelivered():
            agent_reviews.on_review_delivered(builder, signal)
        case AgentStarted():
            agents.on_agent_started(builder, signal)
        case AgentStartFailed():
            agents.on_agent_start_failed(builder, signal)
        case AgentUnavailable():
            agents.on_agent_unavailable(builder, signal)
        case Assigned():
            agents.on_assigned(builder, signal)
        case AgentPollEmpty():
            deadlines.on_agent_poll_empty(builder, signal)
        case AgentMessageResult():
            stalls.on_agent_message_result(builder, signal)
        case TrialMergeDone():
            update_branch.on_trial_merge_done(builder, signal)
        case MergeRefused():
            update_branch.on_merge_refused(builder, signal)
        case BranchUpdateDone():
            update_branch.on_branch_update_done(builder, signal)
        case BaseMoved():
            conflicts.on_base_moved(builder, signal)
        case DeadlineDue():
            deadlines.on_deadline_due(builder, signal)
        case QueueAdmission():
            readiness.on_queue_admission(builder, signal)
        case DependencyChanged():
            readiness.check_readiness(builder)
            completion.evaluate_completion(builder)
        case DependencyRefused():
            dependencies.on_dependency_refused(builder, signal)
        case BlockerCleared():
            holds.on_blocker_cleared(builder, signal)
        case OverlapPredicted():
            holds.on_overlap_predicted(builder, signal)
        case EscalationDelivered():
            escalation.on_escalation_delivered(builder, signal)
        case EscalationAnswered():
            escalation.on_escalation_answered(builder, signal)
            stalls.on_escalation_answered(builder, signal)
    return builder.build()
