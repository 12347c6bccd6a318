"""The one place where anything is decided: `decide(task, signal, context) -> Decision`.

Pure: the same input gives the same decision. The queue as a whole is assigned by
`core.assignment.rules.assign`, whose choices come back here as `Assigned`.
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
from core.decide.builder import Context, Decision, Draft
from core.decide.commands import dependencies
from core.signals.base import (
    AgentSeen,
    AgentStarted,
    AgentStartFailed,
    AgentTold,
    AgentUnavailable,
    AgentUnheard,
    Assigned,
    BaseMoved,
    ChecksSeen,
    CommandGiven,
    DeadlineDue,
    DependencyChanged,
    DependencyRefused,
    IssueSeen,
    MergeRefused,
    MergeTried,
    Overlapping,
    PeopleCalled,
    PersonAnswered,
    PlanDelivered,
    PullSeen,
    QueueTurn,
    ReviewSeen,
    Signal,
    TaskMade,
    UpdateTried,
    VerdictDelivered,
    WayClear,
)
from core.task.model import Task

__all__ = ["Context", "Decision", "Draft", "decide"]


def decide(task: Task | None, signal: Signal, context: Context) -> Decision:
    """What follows from `signal` for `task` (None: we have no such task).

    A signal that changes nothing gives a decision without events and effects; none is ever an error.
    """
    if isinstance(signal, IssueSeen):
        return issues.seen(task, signal, context)
    if isinstance(signal, CommandGiven):
        return commands.given(task, signal, context)
    if isinstance(signal, TaskMade):
        return commands.task.made(task, signal, context)
    if task is None or task.withdrawn:
        return Decision(task)
    draft = Draft(task, context)
    match signal:
        case PullSeen():
            pulls.seen(draft, signal)
        case ChecksSeen():
            checks.seen(draft, signal)
        case ReviewSeen():
            github_reviews.seen(draft, signal)
        case AgentSeen():
            agents.seen(draft, signal)
        case PlanDelivered():
            plans.delivered(draft, signal)
        case VerdictDelivered():
            agent_reviews.delivered(draft, signal)
        case AgentStarted():
            agents.started(draft, signal)
        case AgentStartFailed():
            agents.start_failed(draft, signal)
        case AgentUnavailable():
            agents.unavailable(draft, signal)
        case Assigned():
            agents.assigned(draft, signal)
        case AgentUnheard():
            deadlines.unheard(draft, signal)
        case AgentTold():
            stalls.told(draft, signal)
        case MergeTried():
            update_branch.trial(draft, signal)
        case MergeRefused():
            update_branch.merge_refused(draft, signal)
        case UpdateTried():
            update_branch.tried(draft, signal)
        case BaseMoved():
            conflicts.base_moved(draft, signal)
        case DeadlineDue():
            deadlines.due(draft, signal)
        case QueueTurn():
            readiness.queue_turn(draft, signal)
        case DependencyChanged():
            readiness.check_readiness(draft)
            completion.evaluate(draft)
        case DependencyRefused():
            dependencies.refused(draft, signal)
        case WayClear():
            holds.way_clear(draft, signal)
        case Overlapping():
            holds.overlapping(draft, signal)
        case PeopleCalled():
            escalation.reached(draft, signal)
        case PersonAnswered():
            escalation.answered(draft, signal)
            stalls.answered(draft, signal)
    return draft.conclude()
