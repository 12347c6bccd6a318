"""Every effect has one sender: the function that brings it into the world."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from core.effects.base import (
    AddReaction,
    CancelAgent,
    CheckRun,
    CloseIssue,
    ClosePull,
    Comment,
    CompareBranches,
    CreateTask,
    Effect,
    EnsureLabels,
    Escalate,
    MarkReady,
    MergePull,
    MessageAgent,
    Notify,
    OpenTask,
    PollAgent,
    PublishRetrospective,
    ReadChecks,
    RefreshMirror,
    RequestTrialMerge,
    SetDependency,
    SetLabels,
    StartAgent,
    UpdateBranch,
    UpsertCard,
    UpsertDigest,
)
from engine.senders import (
    agents,
    checks,
    create_task,
    dependencies,
    digest,
    issues,
    merge,
    mirror,
    notifications,
    retrospectives,
    trial_merges,
    update_branch,
)
from engine.senders.context import Identity, SendContext, SendResult

SENDERS: dict[type[Effect], Callable[[Any, SendContext], Awaitable[SendResult]]] = {
    SetLabels: issues.set_labels,
    EnsureLabels: issues.ensure_labels,
    UpsertCard: issues.upsert_card,
    UpsertDigest: digest.upsert_digest,
    Comment: issues.create_comment,
    AddReaction: issues.add_reaction,
    CreateTask: create_task.create_task,
    CloseIssue: issues.close_issue,
    SetDependency: dependencies.set_dependency,
    ClosePull: issues.close_pull,
    CheckRun: checks.write_check_run,
    ReadChecks: checks.read_checks,
    RefreshMirror: mirror.refresh_mirror,
    RequestTrialMerge: trial_merges.run_trial_merge,
    CompareBranches: trial_merges.compare_branches,
    MarkReady: merge.mark_ready,
    MergePull: merge.merge_pull,
    UpdateBranch: update_branch.update_branch,
    StartAgent: agents.start_agent,
    PollAgent: agents.poll_agent,
    CancelAgent: agents.cancel_agent,
    MessageAgent: agents.message_agent,
    PublishRetrospective: retrospectives.publish_retrospective,
    OpenTask: retrospectives.open_task,
    Escalate: notifications.escalate,
    Notify: notifications.notify,
}

__all__ = ["SENDERS", "Identity", "SendContext", "SendResult"]
