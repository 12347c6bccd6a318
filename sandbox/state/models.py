"""Repositories and what is filed in them: issues, pull requests, checks, workflow runs, installations.

These objects refer to each other, so they share a module. `services/` changes them and sends webhooks;
`serializers/` writes them as GitHub's JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from sandbox.git.repository import GitRepository
from sandbox.state.accounts import ROLES, Account, App, Organisation, Role, User, role_at_least
from sandbox.state.ids import Node, node_id

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
    "role_at_least",
]


@dataclass(eq=False, kw_only=True)
class Label(Node):
    """A label of a repository."""

    node_prefix: ClassVar[str] = "LA"
    repository: Repository = field(repr=False)
    name: str
    color: str
    description: str | None = None
    default: bool = False


@dataclass(eq=False, kw_only=True)
class Reaction(Node):
    """One person's reaction to an issue or a comment."""

    node_prefix: ClassVar[str] = "REA"
    user: User
    content: str
    created_at: datetime = field(repr=False)


@dataclass(eq=False, kw_only=True)
class Comment(Node):
    """A comment on an issue or on a pull request's conversation."""

    node_prefix: ClassVar[str] = "IC"
    issue: Issue = field(repr=False)
    user: User
    body: str
    created_at: datetime = field(repr=False)
    updated_at: datetime = field(repr=False)
    via_app: App | None = field(default=None, repr=False)
    editor: User | None = field(default=None, repr=False)  # the last editor
    reactions: list[Reaction] = field(default_factory=list)

    @property
    def reaction_names(self) -> list[str]:
        """The contents of the reactions, oldest first."""
        return [reaction.content for reaction in self.reactions]


@dataclass(eq=False, kw_only=True)
class IssueEvent(Node):
    """An event of an issue; `details` has the JSON fields that GitHub adds for that kind of event."""

    node_prefix: ClassVar[str] = "EV"
    issue: Issue = field(repr=False)
    event: str
    actor: User
    created_at: datetime = field(repr=False)
    details: dict[str, Any] = field(default_factory=dict)
    via_app: App | None = field(default=None, repr=False)


@dataclass(eq=False, kw_only=True)
class Issue(Node):
    """An issue; a pull request is an issue with a `pull`."""

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
        """The names of the labels, in the order they were added."""
        return [label.name for label in self.labels]


@dataclass(eq=False, kw_only=True)
class PullRequest(Node):
    """The part of a pull request that an issue does not have: branches, commits, merge."""

    node_prefix: ClassVar[str] = "PR"
    issue: Issue = field(repr=False)
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    draft: bool = False
    merged: bool = False
    merged_at: datetime | None = None
    merged_by: User | None = None
    merge_commit_sha: str | None = None
    mergeable: bool | None = None
    mergeable_state: str = "unknown"
    reviews: list[Review] = field(default_factory=list, repr=False)
    review_comments: list[ReviewComment] = field(default_factory=list, repr=False)
    requested_reviewers: list[User] = field(default_factory=list, repr=False)
    auto_merge: dict[str, Any] | None = None
    commits: frozenset[str] = frozenset()  # that the head has and the base does not
    additions: int = 0
    deletions: int = 0
    changed_files: int = 0
    conflicts: tuple[str, ...] = ()

    @property
    def repository(self) -> Repository:
        """The repository of base and head; forks are not modelled."""
        return self.issue.repository

    @property
    def number(self) -> int:
        """Its number, shared with the issues of the repository."""
        return self.issue.number

    @property
    def title(self) -> str:
        """Its title."""
        return self.issue.title

    @property
    def body(self) -> str | None:
        """Its text."""
        return self.issue.body

    @property
    def user(self) -> User:
        """The author."""
        return self.issue.user

    @property
    def state(self) -> Literal["open", "closed"]:
        """Open or closed; merged ones are closed."""
        return self.issue.state


@dataclass(eq=False, kw_only=True)
class Review(Node):
    """A review of a pull request."""

    node_prefix: ClassVar[str] = "PRR"
    pull: PullRequest = field(repr=False)
    user: User
    state: str
    body: str
    commit_id: str
    submitted_at: datetime = field(repr=False)


@dataclass(eq=False, kw_only=True)
class ReviewComment(Node):
    """A comment on a line of a pull request's diff."""

    node_prefix: ClassVar[str] = "PRRC"
    pull: PullRequest = field(repr=False)
    review: Review | None = field(repr=False)
    user: User
    body: str
    path: str
    commit_id: str
    created_at: datetime = field(repr=False)
    updated_at: datetime = field(repr=False)
    line: int | None = None
    side: str = "RIGHT"
    start_line: int | None = None
    diff_hunk: str = ""
    in_reply_to: int | None = None
    reactions: list[Reaction] = field(default_factory=list, repr=False)


@dataclass(eq=False, kw_only=True)
class CheckSuite(Node):
    """All check runs of one App on one commit."""

    node_prefix: ClassVar[str] = "CS"
    repository: Repository = field(repr=False)
    app: App = field(repr=False)
    head_sha: str
    head_branch: str | None
    created_at: datetime = field(repr=False)
    updated_at: datetime = field(repr=False)
    before: str | None = None
    after: str | None = None
    runs: list[CheckRun] = field(default_factory=list, repr=False)
    status: str = "queued"
    conclusion: str | None = None

    @property
    def latest_runs(self) -> list[CheckRun]:
        """The newest run of each name, which replaces older ones."""
        return list({run.name: run for run in self.runs}.values())


@dataclass(eq=False, kw_only=True)
class CheckRun(Node):
    """One check on a commit."""

    node_prefix: ClassVar[str] = "CR"
    suite: CheckSuite = field(repr=False)
    name: str
    status: str = "queued"
    conclusion: str | None = None
    external_id: str = ""
    details_url: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    title: str | None = None
    summary: str | None = None
    text: str | None = None
    annotations: list[dict[str, Any]] = field(default_factory=list, repr=False)
    actions: list[dict[str, str]] = field(default_factory=list, repr=False)

    @property
    def head_sha(self) -> str:
        """The commit it is about."""
        return self.suite.head_sha

    @property
    def repository(self) -> Repository:
        """The repository."""
        return self.suite.repository

    @property
    def app(self) -> App:
        """The App that created it."""
        return self.suite.app


@dataclass(eq=False, kw_only=True)
class CommitStatus(Node):
    """A commit status, the older form of a check run."""

    node_prefix: ClassVar[str] = "SC"
    repository: Repository = field(repr=False)
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: User
    created_at: datetime = field(repr=False)
    updated_at: datetime = field(repr=False)


@dataclass(eq=False, kw_only=True)
class WorkflowStep:
    """One step of a job."""

    name: str
    number: int
    status: str = "queued"
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(eq=False, kw_only=True)
class WorkflowJob(Node):
    """One job of a run's attempt, with its log."""

    node_prefix: ClassVar[str] = "CR"
    run: WorkflowRun = field(repr=False)
    attempt: int
    name: str
    check_run: CheckRun | None = field(default=None, repr=False)
    status: str = "queued"
    conclusion: str | None = None
    created_at: datetime = field(repr=False)
    started_at: datetime | None = None
    completed_at: datetime | None = None
    steps: list[WorkflowStep] = field(default_factory=list, repr=False)
    log: str = field(default="", repr=False)


@dataclass(eq=False, kw_only=True)
class WorkflowRun(Node):
    """One run of a workflow."""

    node_prefix: ClassVar[str] = "WFR"
    repository: Repository = field(repr=False)
    workflow_id: int
    path: str
    name: str
    display_title: str
    number: int
    event: str
    head_branch: str
    head_sha: str
    actor: User
    created_at: datetime = field(repr=False)
    updated_at: datetime = field(repr=False)
    started_at: datetime = field(repr=False)
    attempt: int = 1
    status: str = "queued"
    conclusion: str | None = None
    check_suite: CheckSuite | None = field(default=None, repr=False)
    pulls: list[PullRequest] = field(default_factory=list, repr=False)
    jobs: list[WorkflowJob] = field(default_factory=list, repr=False)
    inputs: dict[str, Any] = field(default_factory=dict, repr=False)
    payload: dict[str, Any] = field(default_factory=dict, repr=False)
    ref: str = field(default="", repr=False)
    checkout_sha: str = field(default="", repr=False)
    triggering_actor: User | None = field(default=None, repr=False)

    @property
    def latest_jobs(self) -> list[WorkflowJob]:
        """The jobs of the newest attempt."""
        return [job for job in self.jobs if job.attempt == self.attempt]


@dataclass(eq=False, kw_only=True)
class Repository(Node):
    """A repository: its settings, who may do what, its git, and everything filed in it."""

    node_prefix: ClassVar[str] = "R"
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
    strict_branches: set[str] = field(
        default_factory=set, repr=False
    )  # that only accept branches which are up to date with them
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
        """A person's role here by their grant; the owner is admin, and anyone can read a public repository."""
        if self.owner is user:
            return "admin"
        return self.grants.get(user.id, "none" if self.private else "read")

    def is_collaborator(self, user: User) -> bool:
        """Whether the person was given a role here."""
        return self.owner is user or self.grants.get(user.id, "none") != "none"


@dataclass(eq=False, kw_only=True)
class Installation(Node):
    """An App on an account, with the repositories it was given (all of the account's when `selection` is
    all).
    """

    node_prefix: ClassVar[str] = "MDIz"
    app: App
    account: Account = field(repr=False)
    repositories: list[Repository] = field(repr=False)
    selection: Literal["all", "selected"] = "selected"
    permissions: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    created_at: datetime = field(repr=False)
    updated_at: datetime = field(repr=False)
    suspended_at: datetime | None = None
    suspended_by: User | None = None
