"""Reads what `restore` needs: every issue with its comments, branches, numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from adapters.github.bulk_queries import ACTOR_FRAGMENT, BulkOperations, parse_node
from adapters.github.models.graphql import CommentConnection, GraphQLNode, IssueNode, PageInfo, RefNode

ISSUES_PER_PAGE: Final = 50  # of one query, with the first comments of each
COMMENTS_PER_ISSUE: Final = 50

_COMMENTS: Final = """
fragment remark on IssueComment { fullDatabaseId body author { ...who } editor { ...who } }
"""
_ISSUES: Final = f"""
query Remembered($owner: String!, $name: String!, $labels: [String!], $states: [IssueState!], $after: String) {{
  repository(owner: $owner, name: $name) {{
    issues(labels: $labels, states: $states, first: {ISSUES_PER_PAGE}, after: $after,
        orderBy: {{field: CREATED_AT, direction: ASC}}) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{
        fullDatabaseId number title body state stateReason url createdAt updatedAt lastEditedAt
        author {{ ...who }}
        labels(first: 100) {{ nodes {{ name }} }}
        comments(first: {COMMENTS_PER_ISSUE}) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ ...remark }} }}
      }}
    }}
  }}
}}
{_COMMENTS}{ACTOR_FRAGMENT}"""
_MORE_COMMENTS: Final = f"""
query Comments($owner: String!, $name: String!, $number: Int!, $after: String) {{
  repository(owner: $owner, name: $name) {{
    issue(number: $number) {{
      comments(first: 100, after: $after) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ ...remark }} }}
    }}
  }}
}}
{_COMMENTS}{ACTOR_FRAGMENT}"""
_REFS: Final = """
query Branches($owner: String!, $name: String!, $prefix: String!, $after: String) {
  repository(owner: $owner, name: $name) {
    refs(refPrefix: $prefix, first: 100, after: $after) { pageInfo { hasNextPage endCursor } nodes { name } }
  }
}
"""
_LATEST: Final = """
query Newest($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    issues(first: 1, orderBy: {field: CREATED_AT, direction: DESC}) { nodes { number } }
    pullRequests(first: 1, orderBy: {field: CREATED_AT, direction: DESC}) { nodes { number } }
  }
}
"""


class _RestoreIssues(GraphQLNode):
    page_info: PageInfo
    nodes: tuple[IssueNode | None, ...]


class _RestoreRepository(GraphQLNode):
    issues: _RestoreIssues


class _RefConnection(GraphQLNode):
    page_info: PageInfo
    nodes: tuple[RefNode | None, ...]


class _RefsRepository(GraphQLNode):
    refs: _RefConnection | None = None


class _CommentsIssue(GraphQLNode):
    comments: CommentConnection


class _CommentsRepository(GraphQLNode):
    issue: _CommentsIssue | None = None


class _NumberNode(GraphQLNode):
    number: int


class _NumberConnection(GraphQLNode):
    nodes: tuple[_NumberNode | None, ...]


class _LatestRepository(GraphQLNode):
    issues: _NumberConnection
    pull_requests: _NumberConnection


class RestoreOperations(BulkOperations):
    """What is read to make a lost memory again. `repo` is `owner/name`."""

    async def list_issues_with_comments(
        self, repo: str, label: str, states: Sequence[str] = ("OPEN", "CLOSED")
    ) -> AsyncIterator[IssueNode]:
        """Yield every issue with this label in one of these states, the oldest first, with its first comments."""
        after: str | None = None
        while True:
            data = await self.query_repository(
                _ISSUES, repo, {"labels": [label], "states": list(states), "after": after}
            )
            issues = parse_node(_RestoreRepository, data).issues
            for node in filter(None, issues.nodes):
                yield node
            if not issues.page_info.has_next_page:
                return
            after = issues.page_info.end_cursor

    async def list_more_comments(self, repo: str, node: IssueNode) -> AsyncIterator[CommentConnection]:
        """Yield the comments of an issue that came after its first ones, a page at a time."""
        page = node.comments.page_info
        while page.has_next_page:
            data = await self.query_repository(_MORE_COMMENTS, repo, {"number": node.number, "after": page.end_cursor})
            issue = parse_node(_CommentsRepository, data).issue
            if issue is None:
                return
            yield issue.comments
            page = issue.comments.page_info

    async def list_branches(self, repo: str, prefix: str) -> list[str]:
        """List the branches whose names begin with `prefix`, without it."""
        branches: list[str] = []
        after: str | None = None
        while True:
            data = await self.query_repository(_REFS, repo, {"prefix": f"refs/heads/{prefix}", "after": after})
            refs = parse_node(_RefsRepository, data).refs
            if refs is None:
                return branches  # an empty repository
            branches += [ref.name for ref in refs.nodes if ref]
            if not refs.page_info.has_next_page:
                return branches
            after = refs.page_info.end_cursor

    async def get_latest_number(self, repo: str) -> int:
        """Return the highest number of an issue or pull request; 0 if there is none."""
        repository = parse_node(_LatestRepository, await self.query_repository(_LATEST, repo, {}))
        return max(
            (node.number for node in (*repository.issues.nodes, *repository.pull_requests.nodes) if node), default=0
        )
