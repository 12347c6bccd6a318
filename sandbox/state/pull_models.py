"""Pull requests and their reviews, as state. (Their rules live in `pulls.py`.)"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from sandbox.state.ids import node_id

if TYPE_CHECKING:
    from sandbox.state.models import Issue, Reaction, Repository, User


@dataclass(eq=False, kw_only=True)
class Review:
    """A review of a pull request."""

    id: int
    pull: PullRequest = field(repr=False)
    user: User
    state: str
    body: str
    commit_id: str
    submitted_at: datetime = field(repr=False)

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("PRR", self.id)


@dataclass(eq=False, kw_only=True)
class ReviewComment:
    """A comment on a line of a pull request's diff."""

    id: int
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

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("PRRC", self.id)


@dataclass(eq=False, kw_only=True)
class PullRequest:
    """What makes an issue a pull request: branches, commits, merge."""

    id: int
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
    commits: frozenset[str] = frozenset()  # that the head has and the base has not
    additions: int = 0
    deletions: int = 0
    changed_files: int = 0
    conflicts: tuple[str, ...] = ()

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("PR", self.id)

    @property
    def repository(self) -> Repository:
        """Where it is; heads from forks are not modelled."""
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
        """Who opened it."""
        return self.issue.user

    @property
    def state(self) -> Literal["open", "closed"]:
        """Open or closed; merged ones are closed."""
        return self.issue.state
