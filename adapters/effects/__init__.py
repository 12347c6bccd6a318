"""Every effect has one sender: the function that brings it into the world."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from adapters.effects import (
    agents,
    checks,
    comparing,
    digests,
    issues,
    merging,
    mirroring,
    people,
    relations,
    retrospectives,
    tasks,
    updating,
)
from adapters.effects.errand import Errand, Identity, Mirrors, Sent
from core.effects import (
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

SENDERS: dict[type[Effect], Callable[[Any, Errand], Awaitable[Sent]]] = {
    SetLabels: issues.set_labels,
    MakeLabels: issues.make_labels,
    UpsertCard: issues.upsert_card,
    UpsertDigest: digests.upsert_digest,
    Comment: issues.comment,
    React: issues.react,
    MakeTask: tasks.make_task,
    CloseIssue: issues.close_issue,
    SetDependency: relations.set_dependency,
    ClosePull: issues.close_pull,
    CheckRun: checks.check_run,
    ReadChecks: checks.read_checks,
    RefreshMirror: mirroring.refresh_mirror,
    TryMerge: comparing.try_merge,
    CompareBranches: comparing.compare_branches,
    MarkReady: merging.mark_ready,
    MergePull: merging.merge_pull,
    UpdateBranch: updating.update_branch,
    StartAgent: agents.start_agent,
    PollAgent: agents.poll_agent,
    CancelAgent: agents.cancel_agent,
    SteerAgent: agents.steer_agent,
    ShowRetrospective: retrospectives.show_retrospective,
    OpenTask: retrospectives.open_task,
    CallPeople: people.call_people,
    Notify: people.notify,
}

__all__ = ["SENDERS", "Errand", "Identity", "Mirrors", "Sent"]
