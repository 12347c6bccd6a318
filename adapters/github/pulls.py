"""Calls pull requests, their files and reviews, and merges."""

from __future__ import annotations

from typing import Final, Literal

from adapters.github.base_client import BaseClient, body_params, query_params, repository_parts
from adapters.github.models import ChangedFile, MergeOutcome, PullRequest, ReviewComment
from adapters.github.operation import Value, operation

MergeMethod = Literal["merge", "squash", "rebase"]

_PULLS: Final = "/repos/{owner}/{repo}/pulls"
_PULL: Final = _PULLS + "/{pull_number}"

GET: Final = operation("pulls/get", "GET", _PULL, permission=("pull_requests", "read"))
LIST: Final = operation(
    "pulls/list",
    "GET",
    _PULLS,
    permission=("pull_requests", "read"),
    query="state head sort direction per_page",
)
FILES: Final = operation(
    "pulls/list-files", "GET", _PULL + "/files", permission=("pull_requests", "read"), query="per_page"
)
COMMENTS: Final = operation(
    "pulls/list-review-comments",
    "GET",
    _PULL + "/comments",
    permission=("pull_requests", "read"),
    query="sort direction per_page",
)
MAX_REVIEW_COMMENTS: Final = 300
MERGE: Final = operation(
    "pulls/merge",
    "PUT",
    _PULL + "/merge",
    permission=("contents", "write"),
    body="sha merge_method commit_title commit_message",
)
UPDATE_BRANCH: Final = operation(
    "pulls/update-branch",
    "PUT",
    _PULL + "/update-branch",
    permission=("pull_requests", "write"),
    body="expected_head_sha",
)
_MARK_READY: Final = """
mutation Ready($pull: ID!) {
  markPullRequestReadyForReview(input: {pullRequestId: $pull}) { pullRequest { number } }
}
"""


class PullOperations(BaseClient):
    """Pull requests of a repository."""

    async def get_pull(self, repo: str, number: int) -> PullRequest:
        """Return a pull request; `mergeable` is None while GitHub is still working it out."""
        return await self._request_one(GET, PullRequest, _pull_params(repo, number))

    async def list_pulls(
        self,
        repo: str,
        *,
        state: Literal["open", "closed", "all"] = "open",
        head: str | None = None,
    ) -> list[PullRequest]:
        """List pull requests, the latest changed first; `head` is `owner:branch`."""
        query = query_params(state=state, head=head, sort="updated", direction="desc")
        return await self._request_all(LIST, PullRequest, repository_parts(repo), query)

    async def list_pull_files(self, repo: str, number: int) -> list[ChangedFile]:
        """List the files it changes; GitHub gives at most 3,000."""
        return await self._request_all(FILES, ChangedFile, _pull_params(repo, number))

    async def list_review_comments(self, repo: str, number: int, review_id: int) -> list[ReviewComment]:
        """List the comments on lines that belong to a review, in their order; among the newest `MAX_REVIEW_COMMENTS`.

        From the list of the whole pull request: of its comments GitHub's description says that they have lines.
        """
        comments, count = [], 0
        query: dict[str, Value] = {"sort": "created", "direction": "desc"}
        async for comment in self._iterate(COMMENTS, ReviewComment, _pull_params(repo, number), query):
            count += 1
            if comment.pull_request_review_id == review_id:
                comments.append(comment)
            if count == MAX_REVIEW_COMMENTS:
                break
        return comments[::-1]

    async def merge_pull(
        self,
        repo: str,
        number: int,
        *,
        sha: str,
        method: MergeMethod = "merge",
        title: str | None = None,
        message: str | None = None,
    ) -> MergeOutcome:
        """Merge, provided its head is still `sha`.

        Raises Conflict when it is not mergeable (405) or its head has moved on (409).
        """
        body = body_params(sha=sha, merge_method=method, commit_title=title, commit_message=message)
        return await self._request_one(MERGE, MergeOutcome, _pull_params(repo, number), body=body)

    async def mark_ready(self, repo: str, number: int) -> None:
        """Mark a draft as ready for review; does nothing if it is no draft. GraphQL only."""
        pull = await self.get_pull(repo, number)
        if pull.draft:
            await self._transport.graphql(_MARK_READY, {"pull": pull.node_id}, self._credential)

    async def update_branch(self, repo: str, number: int, *, expected_head_sha: str) -> None:
        """Ask GitHub to merge the base into the head; it does so later. Invalid when the head moved or it
        conflicts.
        """
        await self._execute(UPDATE_BRANCH, _pull_params(repo, number), body={"expected_head_sha": expected_head_sha})


def _pull_params(repo: str, number: int) -> dict[str, str | int]:
    return {**repository_parts(repo), "pull_number": number}
