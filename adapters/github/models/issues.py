"""Issues, comments and reactions."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field

from adapters.github.models.base import GitHubModel, Label, User


class DependenciesSummary(GitHubModel):
    """How many issues this one waits for: those that are open, and all."""

    blocked_by: int = 0
    total_blocked_by: int = 0


class SubIssuesSummary(GitHubModel):
    """How many sub-issues there are, and how many of them are closed."""

    total: int = 0
    completed: int = 0


class Issue(GitHubModel):
    """An issue, or the issue side of a pull request (`is_pull_request`)."""

    id: int
    number: int
    title: str
    body: str | None = None
    state: str
    state_reason: str | None = None
    user: User | None = None
    author_association: str = "NONE"
    labels: tuple[Label, ...] = ()
    assignees: tuple[User, ...] = ()
    html_url: str
    repository_url: str = ""
    created_at: AwareDatetime
    updated_at: AwareDatetime
    closed_at: AwareDatetime | None = None
    pull_request: dict[str, Any] | None = Field(default=None, repr=False)
    issue_dependencies_summary: DependenciesSummary = DependenciesSummary()
    sub_issues_summary: SubIssuesSummary = SubIssuesSummary()

    @property
    def is_pull_request(self) -> bool:
        """Whether GitHub lists this as an issue although it is a pull request."""
        return self.pull_request is not None

    @property
    def label_names(self) -> frozenset[str]:
        """The names of its labels, as spelt in the repository."""
        return frozenset(label.name for label in self.labels)

    @property
    def repository(self) -> str:
        """`owner/name` from `repository_url`; empty in webhook payloads, which name the repository beside the
        issue.
        """
        return "/".join(self.repository_url.rsplit("/", 2)[-2:]) if self.repository_url else ""


class Comment(GitHubModel):
    """A comment on an issue or pull request."""

    id: int
    body: str = ""
    user: User | None = None
    author_association: str = "NONE"
    html_url: str
    issue_url: str = ""
    created_at: AwareDatetime
    updated_at: AwareDatetime


class Reaction(GitHubModel):
    """A reaction to an issue or a comment."""

    id: int
    content: str
    user: User | None = None
    created_at: AwareDatetime | None = None


class IssueEvent(GitHubModel):
    """A line of the history of an issue or pull request: `assigned`, `labeled`, `closed`, …"""

    id: int
    event: str
    actor: User | None = None
    assignee: User | None = None
    created_at: AwareDatetime
