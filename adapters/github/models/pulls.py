"""Pull requests, reviews, commits and branches."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, model_validator

from adapters.github.models.base import GitHubModel, Label, RepositoryRef, User


class BranchEnd(GitHubModel):
    """One end of a pull request; `repo` is None when the fork was deleted."""

    ref: str
    sha: str
    repo: RepositoryRef | None = None


class PullRequest(GitHubModel):
    """A pull request. `mergeable` and `mergeable_state` are worked out lazily, None in lists."""

    id: int
    number: int
    title: str
    body: str | None = None
    state: str
    draft: bool = False
    merged: bool = False
    merged_at: AwareDatetime | None = None
    merge_commit_sha: str | None = None
    mergeable: bool | None = None
    mergeable_state: str | None = None
    head: BranchEnd
    base: BranchEnd
    user: User | None = None
    node_id: str = ""
    requested_reviewers: tuple[User, ...] = ()
    author_association: str = "NONE"
    labels: tuple[Label, ...] = ()
    html_url: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    closed_at: AwareDatetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _merged_in_lists(cls, data: Any) -> Any:
        # Lists leave `merged` out but carry `merged_at`; without this a merged one would read as merely
        # closed.
        if isinstance(data, dict) and data.get("merged") is None:
            return {**data, "merged": data.get("merged_at") is not None}
        return data

    @property
    def is_from_fork(self) -> bool:
        """Whether the head lies in another repository than the base (a deleted fork counts as one)."""
        return self.head.repo is None or self.base.repo is None or self.head.repo.id != self.base.repo.id


class ReviewComment(GitHubModel):
    """A comment on a line of a pull request, or on a file of it."""

    id: int
    pull_request_review_id: int | None = None
    path: str
    line: int | None = None  # None: on the whole file, or on a line that later commits took away
    original_line: int | None = None
    body: str


class Review(GitHubModel):
    """A review. REST writes `state` in capitals, webhooks in small letters; here it is always in capitals."""

    id: int
    user: User | None = None
    body: str | None = None
    state: str
    commit_id: str | None = None
    author_association: str = "NONE"
    html_url: str
    submitted_at: AwareDatetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _state_in_capitals(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("state"), str):
            return {**data, "state": data["state"].upper()}
        return data


class ChangedFile(GitHubModel):
    """A file that a pull request or a comparison changes."""

    filename: str
    status: str
    previous_filename: str | None = None
    additions: int = 0
    deletions: int = 0
    changes: int = 0


class MergeOutcome(GitHubModel):
    """What merging a pull request answered; `sha` is the new commit on the base branch."""

    sha: str
    merged: bool
    message: str = ""


class CommitRef(GitHubModel):
    """A commit by its SHA."""

    sha: str


class Signature(GitHubModel):
    """Who made a commit and when, as git records it (anyone can write anything there)."""

    name: str = ""
    date: AwareDatetime | None = None


class CommitDetails(GitHubModel):
    """The part of a commit that git itself holds."""

    message: str = ""
    author: Signature | None = None
    committer: Signature | None = None


class Commit(GitHubModel):
    """A commit; `author` is the account that GitHub matched by e-mail, None when it found none."""

    sha: str
    commit: CommitDetails
    author: User | None = None
    parents: tuple[CommitRef, ...] = ()
    files: tuple[ChangedFile, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _no_account(cls, data: Any) -> Any:
        # GitHub writes {} where it knows no account.
        if isinstance(data, dict) and data.get("author") == {}:
            return {**data, "author": None}
        return data


class Comparison(GitHubModel):
    """How `head` stands to `base`: `status` is ahead, behind, diverged or identical; at most 300 files."""

    status: str
    ahead_by: int
    behind_by: int
    total_commits: int
    merge_base_commit: CommitRef
    files: tuple[ChangedFile, ...] = ()


class FileContent(GitHubModel):
    """A file with its content; or an entry of a folder, without."""

    type: str
    path: str
    sha: str
    size: int
    encoding: str = ""
    content: str = ""
