"""The one place where anything is decided: `decide(task, signal, context) -> Decision`.

Pure: the same input gives the same decision. The queue as a whole is assigned by
`core.assignment.assign`, whose choices come back here as `Assigned`.
"""

from __future__ import annotations

from core.decide import (
    agents,
    calling,
    checks,
    commands,
    finish,
    issues,
    merging,
    planning,
    pulls,
    readying,
    reviewing,
    reviews,
    stalling,
    updating,
    waits,
    withholding,
)
from core.decide.commands import waiting
from core.decide.draft import Context, Decision, Draft
from core.signals import (
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
from core.task import Task

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
        return commands.taking.made(task, signal, context)
    if task is None or task.withdrawn:
        return Decision(task)
    draft = Draft(task, context)
    match signal:
        case PullSeen():
            pulls.seen(draft, signal)
        case ChecksSeen():
            checks.seen(draft, signal)
        case ReviewSeen():
            reviews.seen(draft, signal)
        case AgentSeen():
            agents.seen(draft, signal)
        case PlanDelivered():
            planning.delivered(draft, signal)
        case VerdictDelivered():
            reviewing.delivered(draft, signal)
        case AgentStarted():
            agents.started(draft, signal)
        case AgentStartFailed():
            agents.start_failed(draft, signal)
        case AgentUnavailable():
            agents.unavailable(draft, signal)
        case Assigned():
            agents.assigned(draft, signal)
        case AgentUnheard():
            waits.unheard(draft, signal)
        case AgentTold():
            stalling.told(draft, signal)
        case MergeTried():
            updating.trial(draft, signal)
        case MergeRefused():
            updating.merge_refused(draft, signal)
        case UpdateTried():
            updating.tried(draft, signal)
        case BaseMoved():
            merging.base_moved(draft, signal)
        case DeadlineDue():
            waits.due(draft, signal)
        case QueueTurn():
            readying.queue_turn(draft, signal)
        case DependencyChanged():
            readying.check_readiness(draft)
            finish.evaluate(draft)
        case DependencyRefused():
            waiting.refused(draft, signal)
        case WayClear():
            withholding.way_clear(draft, signal)
        case Overlapping():
            withholding.overlapping(draft, signal)
        case PeopleCalled():
            calling.reached(draft, signal)
        case PersonAnswered():
            calling.answered(draft, signal)
            stalling.answered(draft, signal)
    return draft.conclude()
