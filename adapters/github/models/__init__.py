"""The fields of GitHub's objects that we read, in REST answers and in webhook payloads alike.

What we do not read is ignored, so a new field never breaks us. States and conclusions stay plain text: GitHub
adds values, and an unknown one is for the rules to judge, not for the parser to refuse.
"""

from adapters.github.models.app import App, HookDelivery, Installation, InstallationToken, Permission
from adapters.github.models.base import GitHubModel, Label, Repository, RepositoryRef, User
from adapters.github.models.checks import (
    AppRef,
    CheckOutput,
    CheckRun,
    CheckSuite,
    CheckSuiteRef,
    CombinedStatus,
    CommitStatus,
    JobStep,
    PullRef,
    Workflow,
    WorkflowDispatched,
    WorkflowJob,
    WorkflowRun,
)
from adapters.github.models.issues import Comment, Issue, IssueEvent, Reaction
from adapters.github.models.pulls import (
    Branch,
    BranchEnd,
    ChangedFile,
    Commit,
    CommitDetails,
    CommitRef,
    Comparison,
    FileContent,
    MergeOutcome,
    PullRequest,
    Review,
    ReviewComment,
    Signature,
)

__all__ = [
    "App",
    "AppRef",
    "Branch",
    "BranchEnd",
    "ChangedFile",
    "CheckOutput",
    "CheckRun",
    "CheckSuite",
    "CheckSuiteRef",
    "CombinedStatus",
    "Comment",
    "Commit",
    "CommitDetails",
    "CommitRef",
    "CommitStatus",
    "Comparison",
    "FileContent",
    "GitHubModel",
    "HookDelivery",
    "Installation",
    "InstallationToken",
    "Issue",
    "IssueEvent",
    "JobStep",
    "Label",
    "MergeOutcome",
    "Permission",
    "PullRef",
    "PullRequest",
    "Reaction",
    "Repository",
    "RepositoryRef",
    "Review",
    "ReviewComment",
    "Signature",
    "User",
    "Workflow",
    "WorkflowDispatched",
    "WorkflowJob",
    "WorkflowRun",
]
