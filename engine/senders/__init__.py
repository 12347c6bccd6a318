"""Every effect has one sender: the function that brings it into the world."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from core.effects.base import (
    CallPeople,
    CancelAgent,
    CheckRun,
    CloseIssue,
    ClosePull,
    Comment,
    CompareBranches,
    Effect,
    MakeLabels,
    MakeTask,
    MarkReady,
    MergePull,
    Notify,
    OpenTask,
    PollAgent,
    React,
    ReadChecks,
    RefreshMirror,
    SetDependency,
    SetLabels,
    ShowRetrospective,
    StartAgent,
    SteerAgent,
    TryMerge,
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
from engine.senders.context import Errand, Identity, Mirrors, Sent

SENDERS: dict[type[Effect], Callable[[Any, Errand], Awaitable[Sent]]] = {
    SetLabels: issues.set_labels,
    MakeLabels: issues.make_labels,
    UpsertCard: issues.upsert_card,
    UpsertDigest: digest.upsert_digest,
    Comment: issues.comment,
    React: issues.react,
    MakeTask: create_task.make_task,
    CloseIssue: issues.close_issue,
    SetDependency: dependencies.set_dependency,
    ClosePull: issues.close_pull,
    CheckRun: checks.check_run,
    ReadChecks: checks.read_checks,
    RefreshMirror: mirror.refresh_mirror,
    TryMerge: trial_merges.try_merge,
    CompareBranches: trial_merges.compare_branches,
    MarkReady: merge.mark_ready,
    MergePull: merge.merge_pull,
    UpdateBranch: update_branch.update_branch,
    StartAgent: agents.start_agent,
    PollAgent: agents.poll_agent,
    CancelAgent: agents.cancel_agent,
    SteerAgent: agents.steer_agent,
    ShowRetrospective: retrospectives.show_retrospective,
    OpenTask: retrospectives.open_task,
    CallPeople: notifications.call_people,
    Notify: notifications.notify,
}

__all__ = ["SENDERS", "Errand", "Identity", "Mirrors", "Sent"]
