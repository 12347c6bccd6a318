"""Models issues and pull requests as GraphQL returns them, and converts them to REST's form.

The rest of the code uses only REST's form, wherever an object was read.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.alias_generators import to_camel

from adapters.github.models.base import GitHubModel, Label, RepositoryRef, User
from adapters.github.models.issues import Issue
from adapters.github.models.pulls import BranchEnd, PullRequest

_PASSED: Final = frozenset({"SUCCESS", "NEUTRAL", "SKIPPED"})
_WAITING: Final = frozenset({"ACTION_REQUIRED", "STALE"})


class GraphQLNode(GitHubModel):
    """Base of what GraphQL tells: its names are in camel case."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class ActorNode(GraphQLNode):
    """An actor: a person, a bot, or another kind of account."""

    kind: str = Field("User", alias="__typename")
    login: str
    database_id: int | None = None

    @property
    def user(self) -> User | None:
        """The actor in REST's form; None without an id, because logins are reused."""
        if self.database_id is None:
            return None
        is_bot = self.kind == "Bot"
        # GraphQL leaves the ending of a bot's login off.
        login = f"{self.login}[bot]" if is_bot and not self.login.endswith("[bot]") else self.login
        return User(id=self.database_id, login=login, type="Bot" if is_bot else self.kind)


class PageInfo(GraphQLNode):
    """Where a list goes on."""

    has_next_page: bool = False
    end_cursor: str | None = None


class LabelNode(GraphQLNode):
    """A thing with a name."""

    name: str


class LabelConnection(GraphQLNode):
    """The labels of an issue."""

    nodes: tuple[LabelNode | None, ...] = ()


class RepositoryNode(GraphQLNode):
    """A repository, as a thing in it names it."""

    database_id: int | None = None
    name_with_owner: str


class LinkedIssue(GraphQLNode):
    """An issue or pull request that another one rests on."""

    number: int
    closed: bool
    repository: RepositoryNode


class LinkedIssueConnection(GraphQLNode):
    """A list of them. One that we may not see is None there."""

    total_count: int = 0
    nodes: tuple[LinkedIssue | None, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether all of them are known."""
        return None not in self.nodes and len(self.nodes) == self.total_count


class CommentNode(GraphQLNode):
    """A comment, and who last changed it."""

    full_database_id: int
    body: str = ""
    author: ActorNode | None = None
    editor: ActorNode | None = None

    def is_by(self, user_id: int) -> bool:
        """Whether it is this user's, and no other user edited it."""
        return all(user is None or user.database_id == user_id for user in (self.author, self.editor)) and bool(
            self.author
        )


class CommentConnection(GraphQLNode):
    """The comments of an issue."""

    page_info: PageInfo = PageInfo()
    nodes: tuple[CommentNode | None, ...] = ()


class IssueNode(GraphQLNode):
    """An issue with its labels and with what it rests on."""

    full_database_id: int
    number: int
    title: str
    body: str = ""
    state: str
    state_reason: str | None = None
    url: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    last_edited_at: AwareDatetime | None = None
    author: ActorNode | None = None
    labels: LabelConnection | None = None
    blocked_by: LinkedIssueConnection | None = None  # not asked for, or not known to an older server
    sub_issues: LinkedIssueConnection | None = None
    comments: CommentConnection = CommentConnection()

    def to_issue(self) -> Issue:
        """The issue as REST tells it."""
        return Issue(
            id=self.full_database_id,
            number=self.number,
            title=self.title,
            body=self.body,
            state=self.state.lower(),
            state_reason=self.state_reason.lower() if self.state_reason else None,
            user=self.author.user if self.author else None,
            labels=tuple(Label(name=label.name) for label in (self.labels.nodes if self.labels else ()) if label),
            html_url=self.url,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


class TimelineItem(GraphQLNode):
    """A line of an issue's history: `kind` is GitHub's type, `LabeledEvent` and the like."""

    kind: str = Field(alias="__typename")
    actor: ActorNode | None = None
    created_at: AwareDatetime | None = None
    label: LabelNode | None = None


class IssueHistory(GraphQLNode):
    """The end of an issue's history, oldest first, and when its text was last changed."""

    last_edited_at: AwareDatetime | None = None
    timeline_items: TimelineConnection


class TimelineConnection(GraphQLNode):
    """Lines of a history."""

    nodes: tuple[TimelineItem | None, ...] = ()


class CommitNode(GraphQLNode):
    """A commit."""

    oid: str = ""


class RefNode(GraphQLNode):
    """A branch and what it points to."""

    name: str = ""
    target: CommitNode | None = None


class CheckContext(GraphQLNode):
    """A check run (`kind` CheckRun), or a status of the older kind."""

    kind: str = Field(alias="__typename")
    name: str = ""
    status: str | None = None
    conclusion: str | None = None
    state: str | None = None

    @property
    def is_finished(self) -> bool:
        """Whether it says more than that it waits."""
        if self.kind == "CheckRun":
            return self.status == "COMPLETED" and self.conclusion not in _WAITING
        return self.state not in ("PENDING", "EXPECTED")

    @property
    def has_passed(self) -> bool:
        """Whether it is over, and well."""
        return self.is_finished and (self.conclusion in _PASSED or self.state == "SUCCESS")


class CheckContextConnection(GraphQLNode):
    """The checks of a commit."""

    total_count: int = 0
    nodes: tuple[CheckContext | None, ...] = ()


class StatusRollup(GraphQLNode):
    """All checks of a commit."""

    contexts: CheckContextConnection

    def has_passed(self, our_checks: Collection[str]) -> bool | None:
        """Whether all checks but ours have passed, where they have ended; None while one has not, or none is there."""
        others = [context for context in self.contexts.nodes if context and context.name not in our_checks]
        if not others or not all(context.is_finished for context in others):
            return None
        return all(context.has_passed for context in others)


class PullNode(GraphQLNode):
    """A pull request, with its branches and its checks."""

    id: str
    full_database_id: int
    number: int
    title: str
    body: str = ""
    state: str
    is_draft: bool = False
    url: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    merged_at: AwareDatetime | None = None
    merge_commit: CommitNode | None = None
    head_ref_name: str
    head_ref_oid: str
    base_ref_name: str
    base_ref: RefNode | None = None
    head_repository: RepositoryNode | None = None
    author: ActorNode | None = None
    status_check_rollup: StatusRollup | None = None

    def to_pull(self, repository: RepositoryNode) -> PullRequest:
        """The pull request of `repository` as REST tells it."""
        is_merged = self.state == "MERGED"
        return PullRequest(
            id=self.full_database_id,
            number=self.number,
            title=self.title,
            body=self.body,
            state="open" if self.state == "OPEN" else "closed",
            draft=self.is_draft,
            merged=is_merged,
            merged_at=self.merged_at,
            merge_commit_sha=self.merge_commit.oid if is_merged and self.merge_commit else None,
            head=BranchEnd(ref=self.head_ref_name, sha=self.head_ref_oid, repo=_repository_ref(self.head_repository)),
            base=BranchEnd(ref=self.base_ref_name, sha="", repo=_repository_ref(repository)),
            user=self.author.user if self.author else None,
            node_id=self.id,
            html_url=self.url,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


def _repository_ref(repository: RepositoryNode | None) -> RepositoryRef | None:
    if repository is None or repository.database_id is None:
        return None  # a fork that is gone, or that we may not see
    name = repository.name_with_owner
    return RepositoryRef(id=repository.database_id, name=name.rpartition("/")[2], full_name=name)
