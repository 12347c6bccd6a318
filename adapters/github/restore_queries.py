"""What GitHub remembers of tasks, for when our own memory is lost: every issue with its comments, branches, numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from adapters.github.bulk_queries import WHO, SurveyOperations, parsed
from adapters.github.models.graphql import IssueNode, Node, Page, Ref, Remarks

ISSUES: Final = 50  # of one query, with the first comments of each
COMMENTS: Final = 50

_COMMENTS: Final = """
fragment remark on IssueComment { fullDatabaseId body author { ...who } editor { ...who } }
"""
_ISSUES: Final = f"""
query Remembered($owner: String!, $name: String!, $labels: [String!], $states: [IssueState!], $after: String) {{
  repository(owner: $owner, name: $name) {{
    issues(labels: $labels, states: $states, first: {ISSUES}, after: $after,
        orderBy: {{field: CREATED_AT, direction: ASC}}) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{
        fullDatabaseId number title body state stateReason url createdAt updatedAt lastEditedAt
        author {{ ...who }}
        labels(first: 100) {{ nodes {{ name }} }}
        comments(first: {COMMENTS}) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ ...remark }} }}
      }}
    }}
  }}
}}
{_COMMENTS}{WHO}"""
_MORE: Final = f"""
query Comments($owner: String!, $name: String!, $number: Int!, $after: String) {{
  repository(owner: $owner, name: $name) {{
    issue(number: $number) {{
      comments(first: 100, after: $after) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ ...remark }} }}
    }}
  }}
}}
{_COMMENTS}{WHO}"""
_REFS: Final = """
query Branches($owner: String!, $name: String!, $prefix: String!, $after: String) {
  repository(owner: $owner, name: $name) {
    refs(refPrefix: $prefix, first: 100, after: $after) { pageInfo { hasNextPage endCursor } nodes { name } }
  }
}
"""
_NEWEST: Final = """
query Newest($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    issues(first: 1, orderBy: {field: CREATED_AT, direction: DESC}) { nodes { number } }
    pullRequests(first: 1, orderBy: {field: CREATED_AT, direction: DESC}) { nodes { number } }
  }
}
"""


class _Issues(Node):
    page_info: Page
    nodes: tuple[IssueNode | None, ...]


class _WithIssues(Node):
    issues: _Issues


class _Refs(Node):
    page_info: Page
    nodes: tuple[Ref | None, ...]


class _WithRefs(Node):
    refs: _Refs | None = None


class _Commented(Node):
    comments: Remarks


class _WithComments(Node):
    issue: _Commented | None = None


class _Numbered(Node):
    number: int


class _Last(Node):
    nodes: tuple[_Numbered | None, ...]


class _WithNewest(Node):
    issues: _Last
    pull_requests: _Last


class MemoryOperations(SurveyOperations):
    """What is read to make a lost memory again. `repo` is `owner/name`."""

    async def remembered_issues(
        self, repo: str, label: str, states: Sequence[str] = ("OPEN", "CLOSED")
    ) -> AsyncIterator[IssueNode]:
        """Yield every issue with this label in one of these states, the oldest first, with its first comments."""
        after: str | None = None
        while True:
            told = await self.ask_repository(_ISSUES, repo, {"labels": [label], "states": list(states), "after": after})
            issues = parsed(_WithIssues, told).issues
            for node in filter(None, issues.nodes):
                yield node
            if not issues.page_info.has_next_page:
                return
            after = issues.page_info.end_cursor

    async def later_comments(self, repo: str, node: IssueNode) -> AsyncIterator[Remarks]:
        """Yield the comments of an issue that came after its first ones, a page at a time."""
        page = node.comments.page_info
        while page.has_next_page:
            told = await self.ask_repository(_MORE, repo, {"number": node.number, "after": page.end_cursor})
            issue = parsed(_WithComments, told).issue
            if issue is None:
                return
            yield issue.comments
            page = issue.comments.page_info

    async def branches_below(self, repo: str, prefix: str) -> list[str]:
        """List the branches whose names begin with `prefix`, without it."""
        found: list[str] = []
        after: str | None = None
        while True:
            told = await self.ask_repository(_REFS, repo, {"prefix": f"refs/heads/{prefix}", "after": after})
            refs = parsed(_WithRefs, told).refs
            if refs is None:
                return found  # an empty repository
            found += [ref.name for ref in refs.nodes if ref]
            if not refs.page_info.has_next_page:
                return found
            after = refs.page_info.end_cursor

    async def newest_number(self, repo: str) -> int:
        """Give the highest number of an issue or pull request; 0 where there is none."""
        told = parsed(_WithNewest, await self.ask_repository(_NEWEST, repo, {}))
        return max((node.number for node in (*told.issues.nodes, *told.pull_requests.nodes) if node), default=0)
