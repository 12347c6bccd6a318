"""Branches, commits and what checks say of them, as the sandbox's GraphQL knows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.graphql.parts import Arguments, Connection, Plain, Resolver, attribute, connected, listed
from sandbox.services import statuses
from sandbox.state.models import App, CheckRun, CheckSuite, CommitStatus, PullRequest, Repository

if TYPE_CHECKING:
    from sandbox.graphql.execution import Execution

_PASSED = ("success", "neutral", "skipped")


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch, and the commit it points to."""

    name: str
    oid: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit by its SHA."""

    oid: str


@dataclass(frozen=True, slots=True)
class StatusRollup:
    """What all checks of a commit say together: the latest run of each name, and the latest status of each context."""

    contexts: Sequence[CheckRun | CommitStatus]

    @property
    def state(self) -> str:
        """Failed if one has failed; else pending if one has not ended."""
        told = {_told(one) for one in self.contexts}
        return next((state for state in ("ERROR", "FAILURE", "PENDING") if state in told), "SUCCESS")


def _told(one: CheckRun | CommitStatus) -> str:
    if isinstance(one, CommitStatus):
        return one.state.upper()
    if one.status != "completed":
        return "PENDING"
    return "SUCCESS" if one.conclusion in _PASSED else "FAILURE"


def _branch(repository: Repository, name: str) -> Ref | None:
    return Ref(name, repository.git.head(name)) if repository.git.has_branch(name) else None


def default_branch(_: Execution, value: Repository, __: Arguments) -> Ref | None:
    """The default branch; none of an empty repository."""
    return _branch(value, value.default_branch)


def refs(_: Execution, value: Repository, arguments: Arguments) -> Connection:
    """The branches below a prefix such as `refs/heads/task/`; their names begin behind it."""
    prefix = str(arguments.get("refPrefix", ""))
    names = [name for branch in value.git.branches() if (name := f"refs/heads/{branch}").startswith(prefix)]
    found = [Ref(name.removeprefix(prefix), value.git.head(name.removeprefix("refs/heads/"))) for name in names]
    return connected("refs", found, arguments)


def _rollup(_: Execution, value: PullRequest, __: Arguments) -> StatusRollup | None:
    suites = (s for s in value.repository.check_suites.values() if s.head_sha == value.head_sha)
    runs: list[CheckRun | CommitStatus] = [run for suite in suites for run in suite.latest_runs]
    found = (*runs, *statuses.latest_statuses(value.repository, value.head_sha))
    return StatusRollup(found) if found else None


def _merge_commit(_: Execution, value: PullRequest, __: Arguments) -> Commit | None:
    return Commit(value.merge_commit_sha) if value.merged and value.merge_commit_sha else None


def _app(_: Execution, value: CheckSuite, __: Arguments) -> Plain:
    app: App = value.app
    return Plain("App", {"databaseId": app.id, "slug": app.slug})


OF_PULLS: dict[str, Resolver] = {
    "mergeCommit": _merge_commit,
    "headRepository": lambda _, value, __: value.repository,
    "isCrossRepository": lambda *_: False,
    "baseRef": lambda _, value, __: _branch(value.repository, value.base_ref),
    "statusCheckRollup": _rollup,
}
KINDS: dict[type, str] = {
    Ref: "Ref",
    Commit: "Commit",
    StatusRollup: "StatusCheckRollup",
    CheckRun: "CheckRun",
    CheckSuite: "CheckSuite",
    CommitStatus: "StatusContext",
}
TYPES: dict[str, dict[str, Resolver]] = {
    "Ref": {"name": attribute("name"), "target": lambda _, value, __: Commit(value.oid)},
    "Commit": {"oid": attribute("oid")},
    "StatusCheckRollup": {"state": attribute("state"), "contexts": listed("contexts", lambda value: value.contexts)},
    "CheckRun": {
        "id": attribute("node_id"),
        "databaseId": attribute("id"),
        "name": attribute("name"),
        "status": lambda _, value, __: value.status.upper(),
        "conclusion": lambda _, value, __: value.conclusion and value.conclusion.upper(),
        "checkSuite": attribute("suite"),
    },
    "CheckSuite": {"id": attribute("node_id"), "app": _app},
    "StatusContext": {
        "id": attribute("node_id"),
        "context": attribute("context"),
        "state": lambda _, value, __: value.state.upper(),
    },
}
