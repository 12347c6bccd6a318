"""A whole repository in a handful of GraphQL queries: its open issues and pull requests, with what belongs to them.

Names and arguments are those of GitHub's public schema. What a query costs is counted by the lists in it, as if all
were full: a hundred issues with labels, blockers and sub-issues cost three points, fifty pull requests with their
checks one, the histories of fifty issues one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from pydantic import ValidationError

from adapters.github.base_client import Caller, M, repository_parts
from adapters.github.errors import Forbidden, GraphQLError, NotFound, Transient, UnexpectedAnswer
from adapters.github.models import PullRequest
from adapters.github.models.graphql import Happening, History, Home, IssueNode, Node, Page, PullNode, Ref, Related

log = structlog.get_logger()

PAGE: Final = 100  # issues of one query, the most that GitHub gives; fewer if it cannot answer that in its ten seconds
LEAST: Final = 25
PULLS: Final = 50
NAMED: Final = 50  # things that are asked for by number in one query
_UNKNOWN: Final = "doesn't exist on type"
HISTORY: Final = 100  # lines of a history, the latest

WHO: Final = """
fragment who on Actor { __typename login ... on User { databaseId } ... on Bot { databaseId } }
"""
_RELATIONS: Final = """
  blockedBy(first: 50) { totalCount nodes { ...related } }
  subIssues(first: 100) { totalCount nodes { ...related } }
"""
_OF_RELATED: Final = """
fragment related on Issue { number closed repository { nameWithOwner } }
"""
_ISSUE: Final = f"""
fragment task on Issue {{
  fullDatabaseId number title body state stateReason url createdAt updatedAt lastEditedAt
  author {{ ...who }}
  labels(first: 100) {{ nodes {{ name }} }}
{_RELATIONS}
}}
{_OF_RELATED}
"""
_PULL: Final = """
fragment pull on PullRequest {
  id fullDatabaseId number title body state isDraft url createdAt updatedAt mergedAt
  mergeCommit { oid }
  headRefName headRefOid baseRefName baseRef { name target { oid } }
  headRepository { databaseId nameWithOwner }
  author { ...who }
  statusCheckRollup {
    contexts(first: 100) {
      totalCount
      nodes {
        __typename
        ... on CheckRun { name status conclusion }
        ... on StatusContext { state }
      }
    }
  }
}
"""
_HISTORY: Final = """
fragment history on Issue {
  lastEditedAt
  timelineItems(last: 100, itemTypes: [LABELED_EVENT, UNLABELED_EVENT, CLOSED_EVENT, REOPENED_EVENT,
      RENAMED_TITLE_EVENT]) {
    nodes {
      __typename
      ... on LabeledEvent { createdAt actor { ...who } label { name } }
      ... on UnlabeledEvent { createdAt actor { ...who } label { name } }
      ... on ClosedEvent { createdAt actor { ...who } }
      ... on ReopenedEvent { createdAt actor { ...who } }
      ... on RenamedTitleEvent { createdAt actor { ...who } }
    }
  }
}
"""
_ISSUES: Final = f"""
query OpenIssues($owner: String!, $name: String!, $labels: [String!], $size: Int!, $after: String) {{
  repository(owner: $owner, name: $name) {{
    issues(labels: $labels, states: [OPEN], first: $size, after: $after,
        orderBy: {{field: CREATED_AT, direction: ASC}}) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{ ...task }}
    }}
  }}
}}
{_ISSUE}{WHO}"""
_PULLS: Final = f"""
query OpenPulls($owner: String!, $name: String!, $size: Int!, $after: String) {{
  repository(owner: $owner, name: $name) {{
    databaseId nameWithOwner
    defaultBranchRef {{ name target {{ oid }} }}
    pullRequests(states: [OPEN], first: $size, after: $after, orderBy: {{field: CREATED_AT, direction: ASC}}) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{ ...pull }}
    }}
  }}
}}
{_PULL}{WHO}"""
_NUMBERED: Final = """
query Numbered($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    %s
  }
}
"""


class _Issues(Node):
    page_info: Page
    nodes: tuple[IssueNode | None, ...]


class _Pulls(Node):
    page_info: Page
    nodes: tuple[PullNode | None, ...]


class _WithIssues(Node):
    issues: _Issues


class _WithPulls(Home):
    default_branch_ref: Ref | None = None
    pull_requests: _Pulls


@dataclass(frozen=True, slots=True)
class SurveyedPull:
    """A pull request, and whether its checks but ours have passed (None: they have not all ended, or none is there)."""

    pull: PullRequest
    passed: bool | None


@dataclass(frozen=True, slots=True)
class SurveyedPulls:
    """The open pull requests, and the heads of the branches that they and others go into."""

    pulls: Sequence[SurveyedPull]
    heads: Mapping[str, str]


class SurveyOperations(Caller):
    """Many issues or pull requests in one query. `repo` is `owner/name`."""

    async def survey_issues(self, repo: str, label: str) -> AsyncIterator[list[IssueNode]]:
        """Yield the open issues with this label, a page at a time, the oldest first."""
        size, after = PAGE, None
        while True:
            try:
                told = await self.ask_repository(_ISSUES, repo, {"labels": [label], "size": size, "after": after})
            except (Transient, GraphQLError):
                if size <= LEAST:
                    raise
                size //= 2  # GitHub gives up after ten seconds; half of it may take half as long
                continue
            issues = parsed(_WithIssues, told).issues
            yield [issue for issue in issues.nodes if issue]
            if not issues.page_info.has_next_page:
                return
            after = issues.page_info.end_cursor

    async def issues_numbered(self, repo: str, numbers: Iterable[int]) -> dict[int, IssueNode | None]:
        """Give these issues; None for one that is not there: deleted, moved elsewhere, or no issue at all."""
        return await self._numbered(repo, numbers, "issue", "task", _ISSUE + WHO, IssueNode)

    async def survey_pulls(self, repo: str, ours: Collection[str] = ()) -> SurveyedPulls:
        """Give all open pull requests, the oldest first. Check runs with one of the names `ours` count for nothing."""
        found: list[SurveyedPull] = []
        heads: dict[str, str] = {}
        after = None
        while True:
            told = parsed(_WithPulls, await self.ask_repository(_PULLS, repo, {"size": PULLS, "after": after}))
            for node in (node for node in told.pull_requests.nodes if node):
                found.append(_surveyed(node, told, ours))
                _note(heads, node.base_ref)
            _note(heads, told.default_branch_ref)
            if not told.pull_requests.page_info.has_next_page:
                return SurveyedPulls(found, heads)
            after = told.pull_requests.page_info.end_cursor

    async def pulls_numbered(self, repo: str, numbers: Iterable[int], home_id: int) -> dict[int, PullRequest | None]:
        """Give these pull requests of the repository with the id `home_id`; None for one that is not there."""
        home = Home(database_id=home_id, name_with_owner=repo)
        nodes = await self._numbered(repo, numbers, "pullRequest", "pull", _PULL + WHO, PullNode)
        return {number: node.pull(home) if node else None for number, node in nodes.items()}

    async def histories(self, repo: str, numbers: Iterable[int]) -> dict[int, History | None]:
        """Give what happened to the labels, the state and the title of these issues, the latest `HISTORY` lines."""
        return await self._numbered(repo, numbers, "issue", "history", _HISTORY + WHO, History)

    async def closed(self, places: Collection[tuple[str, int]]) -> dict[tuple[str, int], bool | None]:
        """Whether these issues or pull requests, named by repository and number, are closed; None: there is none."""
        found: dict[tuple[str, int], bool | None] = {}
        wanted = sorted(places)
        for repo in dict.fromkeys(name for name, _ in wanted):
            numbers = [number for name, number in wanted if name == repo]
            try:
                nodes = await self._numbered(repo, numbers, "issueOrPullRequest", "related", _RELATED, Related)
            except (NotFound, Forbidden, ValueError):
                nodes = dict.fromkeys(numbers)  # a repository that is not there, or not for us to see
            found |= {(repo, number): node.closed if node else None for number, node in nodes.items()}
        return found

    async def _numbered(
        self, repo: str, numbers: Iterable[int], what: str, fragment: str, text: str, model: type[M]
    ) -> dict[int, M | None]:
        found: dict[int, M | None] = {}
        wanted = sorted(set(numbers))
        for start in range(0, len(wanted), NAMED):
            some = wanted[start : start + NAMED]
            fields = "\n".join(f"n{number}: {what}(number: {number}) {{ {_spread(fragment)} }}" for number in some)
            told = await self.ask_repository(_NUMBERED % fields + text, repo, {})
            for number in some:
                node = told.get(f"n{number}")
                found[number] = None if node is None else parsed(model, node)
        return found

    async def ask_repository(self, query: str, repo: str, variables: Mapping[str, object]) -> Mapping[str, Any]:
        """The repository's part of an answer. Where GitHub cannot tell everything, what it can tell is taken."""
        parts = repository_parts(repo)
        try:
            data = await self._transport.graphql(
                query, {"owner": parts["owner"], "name": parts["repo"], **variables}, self._credential
            )
        except GraphQLError as error:
            told = error.data.get("repository") if isinstance(error.data, Mapping) else None
            if told is None and _RELATIONS in query and _UNKNOWN in str(error):
                # A server that knows of no relations between issues: the rest it can tell all the same.
                log.info("graphql_without_relations", repository=repo)
                less = query.replace(_RELATIONS, "").replace(_OF_RELATED, "")
                return await self.ask_repository(less, repo, variables)
            if not isinstance(told, Mapping):
                raise
            log.info("graphql_partial", repository=repo, errors=error.errors[:5])
            return told
        told = data.get("repository")
        if not isinstance(told, Mapping):
            raise NotFound(f"there is no repository {repo} for us", operation="graphql")
        return told


_RELATED: Final = """
fragment related on Issue { number closed repository { nameWithOwner } }
fragment relatedPull on PullRequest { number closed repository { nameWithOwner } }
"""


def _spread(fragment: str) -> str:
    return f"...{fragment} ...relatedPull" if fragment == "related" else f"...{fragment}"


def _surveyed(node: PullNode, home: Home, ours: Collection[str]) -> SurveyedPull:
    rollup = node.status_check_rollup
    return SurveyedPull(node.pull(home), rollup.verdict(ours) if rollup else None)


def _note(heads: dict[str, str], ref: Ref | None) -> None:
    if ref is not None and ref.target is not None and ref.target.oid:
        heads[ref.name] = ref.target.oid


def parsed(model: type[M], told: object) -> M:
    """Check a part of an answer against its model. Raises UnexpectedAnswer."""
    try:
        return model.model_validate(told)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnexpectedAnswer(
            f"the answer is no {model.__name__}: {where}: {first['msg']}", operation="graphql"
        ) from error


__all__ = ["Happening", "SurveyOperations", "SurveyedPull", "SurveyedPulls"]
