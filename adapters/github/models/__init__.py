"""Models the fields of GitHub's objects that the bot reads, in REST responses and webhook payloads.

Other fields are ignored, so a new field never breaks the bot. States and conclusions stay plain text: GitHub adds
values, and the rules judge an unknown one, not the parser.
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
