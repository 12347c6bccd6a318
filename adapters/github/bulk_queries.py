"""Reads a repository's open issues and pull requests in a few GraphQL queries.

Names and arguments are those of GitHub's public schema. The cost of a query is computed from its lists as if all were
full: a hundred issues with labels, blockers and sub-issues cost three points, fifty pull requests with their checks
one, the timelines of fifty issues one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from pydantic import ValidationError

from adapters.github.base_client import BaseClient, M, repository_parts
from adapters.github.errors import Forbidden, GraphQLError, NotFound, Transient, UnexpectedResponse
from adapters.github.models import PullRequest
from adapters.github.models.graphql import (
    GraphQLNode,
    IssueHistory,
    IssueNode,
    LinkedIssue,
    PageInfo,
    PullNode,
    RefNode,
    RepositoryNode,
    TimelineItem,
)

log = structlog.get_logger()

ISSUES_PER_PAGE: Final = (
    100  # issues of one query, the most that GitHub gives; fewer if it cannot answer that in its ten seconds
)
MIN_ISSUES_PER_PAGE: Final = 25
PULLS_PER_PAGE: Final = 50
NUMBERS_PER_QUERY: Final = 50  # things that are asked for by number in one query
_UNKNOWN_FIELD: Final = "doesn't exist on type"

ACTOR_FRAGMENT: Final = """
fragment who on Actor { __typename login ... on User { databaseId } ... on Bot { databaseId } }
"""
_LINKED_ISSUE_FIELDS: Final = """
  blockedBy(first: 50) { totalCount nodes { ...related } }
  subIssues(first: 100) { totalCount nodes { ...related } }
"""
_LINKED_ISSUE_FRAGMENT: Final = """
fragment related on Issue { number closed repository { nameWithOwner } }
"""
_ISSUE: Final = f"""
fragment task on Issue {{
  fullDatabaseId number title body state stateReason url createdAt updatedAt lastEditedAt
  author {{ ...who }}
  labels(first: 100) {{ nodes {{ name }} }}
{_LINKED_ISSUE_FIELDS}
}}
{_LINKED_ISSUE_FRAGMENT}
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
{_ISSUE}{ACTOR_FRAGMENT}"""
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
{_PULL}{ACTOR_FRAGMENT}"""
_BY_NUMBER: Final = """
query Numbered($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    %s
  }
}
"""


class _IssueConnection(GraphQLNode):
    page_info: PageInfo
    nodes: tuple[IssueNode | None, ...]


class _PullConnection(GraphQLNode):
    page_info: PageInfo
    nodes: tuple[PullNode | None, ...]


class _IssuesRepository(GraphQLNode):
    issues: _IssueConnection


class _PullsRepository(RepositoryNode):
    default_branch_ref: RefNode | None = None
    pull_requests: _PullConnection


@dataclass(frozen=True, slots=True)
class PullWithChecks:
    """A pull request, and whether its checks but ours have passed (None: they have not all ended, or none is there)."""

    pull: PullRequest
    passed: bool | None


@dataclass(frozen=True, slots=True)
class PullList:
    """The open pull requests, and the heads of the branches that they and others go into."""

    pulls: Sequence[PullWithChecks]
    heads: Mapping[str, str]


class BulkOperations(BaseClient):
    """Many issues or pull requests in one query. `repo` is `owner/name`."""

    async def list_open_issues(self, repo: str, label: str) -> AsyncIterator[list[IssueNode]]:
        """Yield the open issues with this label, a page at a time, the oldest first."""
        size, after = ISSUES_PER_PAGE, None
        while True:
            try:
                data = await self.query_repository(_ISSUES, repo, {"labels": [label], "size": size, "after": after})
            except (Transient, GraphQLError):
                if size <= MIN_ISSUES_PER_PAGE:
                    raise
                size //= 2  # GitHub gives up after ten seconds; half of it may take half as long
                continue
            issues = parse_node(_IssuesRepository, data).issues
            yield [issue for issue in issues.nodes if issue]
            if not issues.page_info.has_next_page:
                return
            after = issues.page_info.end_cursor

    async def get_issues(self, repo: str, numbers: Iterable[int]) -> dict[int, IssueNode | None]:
        """Return these issues; None for one that is not there: deleted, moved elsewhere, or no issue at all."""
        return await self._get_by_number(repo, numbers, "issue", "task", _ISSUE + ACTOR_FRAGMENT, IssueNode)

    async def list_open_pulls(self, repo: str, our_checks: Collection[str] = ()) -> PullList:
        """Return all open pull requests, the oldest first. Check runs named in `our_checks` are ignored."""
        pulls: list[PullWithChecks] = []
        heads: dict[str, str] = {}
        after = None
        while True:
            repository = parse_node(
                _PullsRepository, await self.query_repository(_PULLS, repo, {"size": PULLS_PER_PAGE, "after": after})
            )
            for node in (node for node in repository.pull_requests.nodes if node):
                pulls.append(_pull_with_checks(node, repository, our_checks))
                _add_head(heads, node.base_ref)
            _add_head(heads, repository.default_branch_ref)
            if not repository.pull_requests.page_info.has_next_page:
                return PullList(pulls, heads)
            after = repository.pull_requests.page_info.end_cursor

    async def get_pulls(self, repo: str, numbers: Iterable[int], repository_id: int) -> dict[int, PullRequest | None]:
        """Return these pull requests of the repository with the id `repository_id`; None for one that is not there."""
        repository = RepositoryNode(database_id=repository_id, name_with_owner=repo)
        nodes = await self._get_by_number(repo, numbers, "pullRequest", "pull", _PULL + ACTOR_FRAGMENT, PullNode)
        return {number: node.to_pull(repository) if node else None for number, node in nodes.items()}

    async def get_histories(self, repo: str, numbers: Iterable[int]) -> dict[int, IssueHistory | None]:
        """Return what happened to the labels, the state and the title of these issues, the latest 100 events."""
        return await self._get_by_number(repo, numbers, "issue", "history", _HISTORY + ACTOR_FRAGMENT, IssueHistory)

    async def get_closed_states(self, references: Collection[tuple[str, int]]) -> dict[tuple[str, int], bool | None]:
        """Whether these issues or pull requests, named by repository and number, are closed; None: there is none."""
        states: dict[tuple[str, int], bool | None] = {}
        sorted_references = sorted(references)
        for repo in dict.fromkeys(name for name, _ in sorted_references):
            numbers = [number for name, number in sorted_references if name == repo]
            try:
                nodes = await self._get_by_number(
                    repo, numbers, "issueOrPullRequest", "related", _LINKED_ITEM_FRAGMENTS, LinkedIssue
                )
            except (NotFound, Forbidden, ValueError):
                nodes = dict.fromkeys(numbers)  # a repository that is not there, or not for us to see
            states |= {(repo, number): node.closed if node else None for number, node in nodes.items()}
        return states

    async def _get_by_number(
        self, repo: str, numbers: Iterable[int], field: str, fragment: str, fragment_text: str, model: type[M]
    ) -> dict[int, M | None]:
        nodes: dict[int, M | None] = {}
        sorted_numbers = sorted(set(numbers))
        for start in range(0, len(sorted_numbers), NUMBERS_PER_QUERY):
            batch = sorted_numbers[start : start + NUMBERS_PER_QUERY]
            fields = "\n".join(f"n{number}: {field}(number: {number}) {{ {_spread(fragment)} }}" for number in batch)
            repository = await self.query_repository(_BY_NUMBER % fields + fragment_text, repo, {})
            for number in batch:
                node = repository.get(f"n{number}")
                nodes[number] = None if node is None else parse_node(model, node)
        return nodes

    async def query_repository(self, query: str, repo: str, variables: Mapping[str, object]) -> Mapping[str, Any]:
        """The repository's part of an answer. Where GitHub cannot tell everything, what it can tell is taken."""
        parts = repository_parts(repo)
        try:
            data = await self._transport.graphql(
                query, {"owner": parts["owner"], "name": parts["repo"], **variables}, self._credential
            )
        except GraphQLError as error:
            repository = error.data.get("repository") if isinstance(error.data, Mapping) else None
            if repository is None and _LINKED_ISSUE_FIELDS in query and _UNKNOWN_FIELD in str(error):
                # A server that knows of no relations between issues: the rest it can tell all the same.
                log.info("graphql_without_relations", repository=repo)
                reduced_query = query.replace(_LINKED_ISSUE_FIELDS, "").replace(_LINKED_ISSUE_FRAGMENT, "")
                return await self.query_repository(reduced_query, repo, variables)
            if not isinstance(repository, Mapping):
                raise
            log.info("graphql_partial", repository=repo, errors=error.errors[:5])
            return repository
        repository = data.get("repository")
        if not isinstance(repository, Mapping):
            raise NotFound(f"there is no repository {repo} for us", operation="graphql")
        return repository


_LINKED_ITEM_FRAGMENTS: Final = """
fragment related on Issue { number closed repository { nameWithOwner } }
fragment relatedPull on PullRequest { number closed repository { nameWithOwner } }
"""


def _spread(fragment: str) -> str:
    return f"...{fragment} ...relatedPull" if fragment == "related" else f"...{fragment}"


def _pull_with_checks(node: PullNode, repository: RepositoryNode, our_checks: Collection[str]) -> PullWithChecks:
    rollup = node.status_check_rollup
    return PullWithChecks(node.to_pull(repository), rollup.has_passed(our_checks) if rollup else None)


def _add_head(heads: dict[str, str], ref: RefNode | None) -> None:
    if ref is not None and ref.target is not None and ref.target.oid:
        heads[ref.name] = ref.target.oid


def parse_node(model: type[M], data: object) -> M:
    """Check a part of an answer against its model. Raises UnexpectedAnswer."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first_error = error.errors(include_input=False, include_url=False)[0]
        location = ".".join(str(part) for part in first_error["loc"])
        raise UnexpectedResponse(
            f"the answer is no {model.__name__}: {location}: {first_error['msg']}", operation="graphql"
        ) from error


__all__ = ["BulkOperations", "PullList", "PullWithChecks", "TimelineItem"]
