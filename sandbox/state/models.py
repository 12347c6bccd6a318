"""The state of the sandbox: people, Apps, repositories, issues, checks. Plain objects that tests read
directly.

What changes them, and tells the world by webhooks, lives beside this file: `issues.py`, `labels.py`,
`comments.py`, `checks.py`, `pulls.py`, … What GitHub shows of them is written by `render.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from sandbox.state.account_models import ROLES, Account, App, Installation, Organisation, Role, User, role_at_least
from sandbox.state.check_models import CheckRun, CheckSuite, CommitStatus
from sandbox.state.ids import node_id
from sandbox.state.pull_models import PullRequest, Review, ReviewComment
from sandbox.state.run_models import WorkflowJob, WorkflowRun, WorkflowStep

if TYPE_CHECKING:
    from sandbox.git.repository import GitRepository
    from sandbox.sandbox import Sandbox

__all__ = [
    "ROLES",
    "Account",
    "App",
    "CheckRun",
    "CheckSuite",
    "Comment",
    "CommitStatus",
    "Installation",
    "Issue",
    "IssueEvent",
    "Label",
    "Organisation",
    "PullRequest",
    "Reaction",
    "Repository",
    "Review",
    "ReviewComment",
    "Role",
    "User",
    "WorkflowJob",
    "WorkflowRun",
    "WorkflowStep",
    "node_id",
    "role_at_least",
]


@dataclass(eq=False, kw_only=True)
class Label:
    """A label of a repository."""

    id: int
    repository: Repository = field(repr=False)
    name: str
    color: str
    description: str | None = None
    default: bool = False

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("LA", self.id)


@dataclass(eq=False, kw_only=True)
class Reaction:
    """One person's reaction to an issue or a comment."""

    id: int
    user: User
    content: str
    created_at: datetime = field(repr=False)

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("REA", self.id)


@dataclass(eq=False, kw_only=True)
class Comment:
    """A comment on an issue or on a pull request's conversation."""

    id: int
    issue: Issue = field(repr=False)
    user: User
    body: str
    created_at: datetime = field(repr=False)
    updated_at: datetime = field(repr=False)
    via_app: App | None = field(default=None, repr=False)
    editor: User | None = field(default=None, repr=False)  # who last changed it, if anybody has
    reactions: list[Reaction] = field(default_factory=list)

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("IC", self.id)

    @property
    def reaction_names(self) -> list[str]:
        """The contents of the reactions, oldest first."""
        return [reaction.content for reaction in self.reactions]


@dataclass(eq=False, kw_only=True)
class IssueEvent:
    """A line of an issue's history; `details` holds what GitHub adds for that kind of event, ready
    for JSON.
    """

    id: int
    issue: Issue = field(repr=False)
    event: str
    actor: User
    created_at: datetime = field(repr=False)
    details: dict[str, Any] = field(default_factory=dict)
    via_app: App | None = field(default=None, repr=False)

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("EV", self.id)


@dataclass(eq=False, kw_only=True)
class Issue:
    """An issue; a pull request is an issue with a `pull`."""

    id: int
    repository: Repository = field(repr=False)
    number: int
    title: str
    body: str | None
    user: User
    created_at: datetime = field(repr=False)
    updated_at: datetime = field(repr=False)
    state: Literal["open", "closed"] = "open"
    state_reason: str | None = None
    labels: list[Label] = field(default_factory=list)
    assignees: list[User] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list, repr=False)
    reactions: list[Reaction] = field(default_factory=list, repr=False)
    events: list[IssueEvent] = field(default_factory=list, repr=False)
    edited_at: datetime | None = field(default=None, repr=False)  # when its text was last changed
    closed_at: datetime | None = None
    closed_by: User | None = None
    locked: bool = False
    lock_reason: str | None = None
    via_app: App | None = field(default=None, repr=False)
    blocked_by: list[Issue] = field(default_factory=list, repr=False)
    blocking: list[Issue] = field(default_factory=list, repr=False)
    parent: Issue | None = field(default=None, repr=False)
    sub_issues: list[Issue] = field(default_factory=list, repr=False)
    pull: PullRequest | None = field(default=None, repr=False)

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("I" if self.pull is None else "PR", self.id)

    @property
    def label_names(self) -> list[str]:
        """The names of the labels, in the order they were put on."""
        return [label.name for label in self.labels]


@dataclass(eq=False, kw_only=True)
class Repository:
    """A repository: its settings, who may do what, its git, and everything filed in it."""

    hub: Sandbox = field(repr=False)
    id: int
    owner: Account = field(repr=False)
    name: str
    git: GitRepository = field(repr=False)
    created_at: datetime = field(repr=False)
    updated_at: datetime = field(repr=False)
    pushed_at: datetime = field(repr=False)
    default_branch: str = "main"
    private: bool = False
    description: str | None = None
    archived: bool = False
    has_issues: bool = True
    allow_merge_commit: bool = True
    allow_squash_merge: bool = True
    allow_rebase_merge: bool = True
    allow_auto_merge: bool = False
    delete_branch_on_merge: bool = False
    required_checks: dict[str, list[str]] = field(default_factory=dict, repr=False)
    required_approvals: dict[str, int] = field(default_factory=dict, repr=False)
    strict_branches: set[str] = field(default_factory=set, repr=False)  # that take only what is up to date with them
    grants: dict[int, Role] = field(default_factory=dict, repr=False)
    labels: dict[str, Label] = field(default_factory=dict, repr=False)
    issues: dict[int, Issue] = field(default_factory=dict, repr=False)
    check_suites: dict[int, CheckSuite] = field(default_factory=dict, repr=False)
    statuses: list[CommitStatus] = field(default_factory=list, repr=False)
    runs: dict[int, WorkflowRun] = field(default_factory=dict, repr=False)

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner.login}/{self.name}"

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("R", self.id)

    def next_number(self) -> int:
        """The number of the next issue or pull request; both share one sequence."""
        return max(self.issues, default=0) + 1

    def issue(self, number: int) -> Issue:
        """The issue (or pull request, as an issue) of that number. Raises KeyError."""
        return self.issues[number]

    def pull(self, number: int) -> PullRequest:
        """The pull request of that number. Raises KeyError when there is none."""
        pull = self.issues[number].pull
        if pull is None:
            raise KeyError(f"#{number} of {self.full_name} is an issue, not a pull request")
        return pull

    def pulls(self) -> list[PullRequest]:
        """All pull requests, oldest first."""
        return [issue.pull for issue in self.issues.values() if issue.pull is not None]

    def label(self, name: str) -> Label | None:
        """The label of that name, whatever its case, or None."""
        return self.labels.get(name.lower())

    def check_runs(self, sha: str) -> list[CheckRun]:
        """Every check run on a commit, oldest first."""
        suites = (suite for suite in self.check_suites.values() if suite.head_sha == sha)
        return sorted((run for suite in suites for run in suite.runs), key=lambda run: run.id)

    def comments(self) -> Iterator[Comment]:
        """Every comment of the repository, issue by issue."""
        for issue in self.issues.values():
            yield from issue.comments

    def role_of(self, user: User) -> Role:
        """What a person may do here: their grant, owner and organisation rules apart; a public repository
        can be read.
        """
        if self.owner is user:
            return "admin"
        return self.grants.get(user.id, "none" if self.private else "read")

    def is_collaborator(self, user: User) -> bool:
        """Whether the person was given a role here."""
        return self.owner is user or self.grants.get(user.id, "none") != "none"


_NAME = re.compile(r"[A-Za-z0-9._-]+")


def check_full_name(full_name: str) -> tuple[str, str]:
    """Split `owner/name`. Raises ValueError, with what is wrong, for anything else."""
    owner, _, name = full_name.partition("/")
    if not (_NAME.fullmatch(owner) and _NAME.fullmatch(name)) or name in {".", ".."}:
        raise ValueError(f"a repository is called owner/name (letters, digits, . _ -), not {full_name!r}")
    return owner, name
