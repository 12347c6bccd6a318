"""What GitHub's GraphQL tells of issues and pull requests, and the same as REST would have told it.

The rest of the house knows one shape of an issue and of a pull request, REST's; where a thing was read is no matter
to it.
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


class Node(GitHubModel):
    """Base of what GraphQL tells: its names are in camel case."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class Who(Node):
    """Somebody who acts: a person, a bot, or what else GitHub lets act."""

    kind: str = Field("User", alias="__typename")
    login: str
    database_id: int | None = None

    @property
    def user(self) -> User | None:
        """As REST tells it; None without an id, because logins are given away anew."""
        if self.database_id is None:
            return None
        bot = self.kind == "Bot"
        # GraphQL leaves the ending of a bot's login off.
        login = f"{self.login}[bot]" if bot and not self.login.endswith("[bot]") else self.login
        return User(id=self.database_id, login=login, type="Bot" if bot else self.kind)


class Page(Node):
    """Where a list goes on."""

    has_next_page: bool = False
    end_cursor: str | None = None


class Named(Node):
    """A thing with a name."""

    name: str


class Labels(Node):
    """The labels of an issue."""

    nodes: tuple[Named | None, ...] = ()


class Home(Node):
    """A repository, as a thing in it names it."""

    database_id: int | None = None
    name_with_owner: str


class Related(Node):
    """An issue or pull request that another one rests on."""

    number: int
    closed: bool
    repository: Home


class Relations(Node):
    """A list of them. One that we may not see is None there."""

    total_count: int = 0
    nodes: tuple[Related | None, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all of them are known."""
        return None not in self.nodes and len(self.nodes) == self.total_count


class Remark(Node):
    """A comment, and who last changed it."""

    full_database_id: int
    body: str = ""
    author: Who | None = None
    editor: Who | None = None

    def is_by(self, user_id: int) -> bool:
        """Whether it is this user's, and nobody else changed it."""
        return all(who is None or who.database_id == user_id for who in (self.author, self.editor)) and bool(
            self.author
        )


class Remarks(Node):
    """The comments of an issue."""

    page_info: Page = Page()
    nodes: tuple[Remark | None, ...] = ()


class IssueNode(Node):
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
    author: Who | None = None
    labels: Labels | None = None
    blocked_by: Relations | None = None  # not asked for, or not known to an older server
    sub_issues: Relations | None = None
    comments: Remarks = Remarks()

    def issue(self) -> Issue:
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


class Happening(Node):
    """A line of an issue's history: `kind` is GitHub's type, `LabeledEvent` and the like."""

    kind: str = Field(alias="__typename")
    actor: Who | None = None
    created_at: AwareDatetime | None = None
    label: Named | None = None


class History(Node):
    """The end of an issue's history, oldest first, and when its text was last changed."""

    last_edited_at: AwareDatetime | None = None
    timeline_items: Happenings


class Happenings(Node):
    """Lines of a history."""

    nodes: tuple[Happening | None, ...] = ()


class Commit(Node):
    """A commit."""

    oid: str = ""


class Ref(Node):
    """A branch and what it points to."""

    name: str = ""
    target: Commit | None = None


class Context(Node):
    """A check run (`kind` CheckRun), or a status of the older kind."""

    kind: str = Field(alias="__typename")
    name: str = ""
    status: str | None = None
    conclusion: str | None = None
    state: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it says more than that it waits."""
        if self.kind == "CheckRun":
            return self.status == "COMPLETED" and self.conclusion not in _WAITING
        return self.state not in ("PENDING", "EXPECTED")

    @property
    def passed(self) -> bool:
        """Whether it is over, and well."""
        return self.ended and (self.conclusion in _PASSED or self.state == "SUCCESS")


class Contexts(Node):
    """The checks of a commit."""

    total_count: int = 0
    nodes: tuple[Context | None, ...] = ()


class Rollup(Node):
    """All checks of a commit."""

    contexts: Contexts

    def verdict(self, ours: Collection[str]) -> bool | None:
        """Whether all checks but ours have passed, where they have ended; None while one has not, or none is there."""
        others = [context for context in self.contexts.nodes if context and context.name not in ours]
        if not others or not all(context.ended for context in others):
            return None
        return all(context.passed for context in others)


class PullNode(Node):
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
    merge_commit: Commit | None = None
    head_ref_name: str
    head_ref_oid: str
    base_ref_name: str
    base_ref: Ref | None = None
    head_repository: Home | None = None
    author: Who | None = None
    status_check_rollup: Rollup | None = None

    def pull(self, home: Home) -> PullRequest:
        """The pull request of the repository `home` as REST tells it."""
        merged = self.state == "MERGED"
        return PullRequest(
            id=self.full_database_id,
            number=self.number,
            title=self.title,
            body=self.body,
            state="open" if self.state == "OPEN" else "closed",
            draft=self.is_draft,
            merged=merged,
            merged_at=self.merged_at,
            merge_commit_sha=self.merge_commit.oid if merged and self.merge_commit else None,
            head=BranchEnd(ref=self.head_ref_name, sha=self.head_ref_oid, repo=_ref(self.head_repository)),
            base=BranchEnd(ref=self.base_ref_name, sha="", repo=_ref(home)),
            user=self.author.user if self.author else None,
            node_id=self.id,
            html_url=self.url,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


def _ref(home: Home | None) -> RepositoryRef | None:
    if home is None or home.database_id is None:
        return None  # a fork that is gone, or that we may not see
    name = home.name_with_owner
    return RepositoryRef(id=home.database_id, name=name.rpartition("/")[2], full_name=name)
