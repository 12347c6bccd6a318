"""Resolve branches, commits and the checks of a commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.graphql.connections import Connection, connection_of, paginate
from sandbox.graphql.context import Fields, Info
from sandbox.services import statuses
from sandbox.state.models import App, CheckRun, CheckSuite, CommitStatus, PullRequest, Repository

_PASSED = ("success", "neutral", "skipped")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit by its SHA."""

    oid: str


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch, and the commit it points to."""

    name: str
    target: Commit


@dataclass(frozen=True, slots=True)
class StatusRollup:
    """The sum of all checks of a commit: the latest run of each name, and the latest status of each context."""

    contexts: Sequence[CheckRun | CommitStatus]

    @property
    def state(self) -> str:
        """Failed if a check has failed; else pending if a check has not ended."""
        states = {_state(context) for context in self.contexts}
        return next((state for state in ("error", "failure", "pending") if state in states), "success")


def _state(context: CheckRun | CommitStatus) -> str:
    if isinstance(context, CommitStatus):
        return context.state
    if context.status != "completed":
        return "pending"
    return "success" if context.conclusion in _PASSED else "failure"


def _branch(repository: Repository, name: str) -> Ref | None:
    return Ref(name, Commit(repository.git.head(name))) if repository.git.has_branch(name) else None


def default_branch(repository: Repository, _: Info) -> Ref | None:
    """The default branch; an empty repository has none."""
    return _branch(repository, repository.default_branch)


def refs(repository: Repository, _: Info, ref_prefix: str, **page: Any) -> Connection:
    """The branches below a prefix such as `refs/heads/task/`, by the rest of their names."""
    branches = [name for name in repository.git.branches() if f"refs/heads/{name}".startswith(ref_prefix)]
    items = [Ref(f"refs/heads/{name}".removeprefix(ref_prefix), Commit(repository.git.head(name))) for name in branches]
    return paginate(items, **page)


def _rollup(pull: PullRequest, _: Info) -> StatusRollup | None:
    suites = (suite for suite in pull.repository.check_suites.values() if suite.head_sha == pull.head_sha)
    runs: list[CheckRun | CommitStatus] = [run for suite in suites for run in suite.latest_runs]
    contexts = (*runs, *statuses.latest_statuses(pull.repository, pull.head_sha))
    return StatusRollup(contexts) if contexts else None


def _merge_commit(pull: PullRequest, _: Info) -> Commit | None:
    return Commit(pull.merge_commit_sha) if pull.merged and pull.merge_commit_sha else None


def _base_ref(pull: PullRequest, _: Info) -> Ref | None:
    return _branch(pull.repository, pull.base_ref)


PULL_FIELDS: Fields = {
    "baseRef": _base_ref,
    "headRepository": "repository",
    "isCrossRepository": lambda *_: False,
    "mergeCommit": _merge_commit,
    "statusCheckRollup": _rollup,
}
FIELDS: Mapping[str, Fields] = {
    "App": {"databaseId": "id", "id": "node_id"},
    "CheckRun": {"checkSuite": "suite", "databaseId": "id", "id": "node_id"},
    "CheckSuite": {"id": "node_id"},
    "Commit": {},
    "Ref": {},
    "StatusCheckRollup": {"contexts": connection_of(lambda rollup: rollup.contexts)},
    "StatusContext": {"id": "node_id"},
}
TYPES: Mapping[type, str] = {
    App: "App",
    CheckRun: "CheckRun",
    CheckSuite: "CheckSuite",
    Commit: "Commit",
    CommitStatus: "StatusContext",
    Ref: "Ref",
    StatusRollup: "StatusCheckRollup",
}
