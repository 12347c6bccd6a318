"""Pull requests, reviews and review comments, as GitHub shows them in REST and in webhooks."""

from __future__ import annotations

from typing import Any

from sandbox.clock import timestamp, timestamp_or_none
from sandbox.hub import Hub
from sandbox.serializers import code as code_serializer
from sandbox.serializers import issues as issue_serializer
from sandbox.state.models import PullRequest, Review, ReviewComment


def _branch(hub: Hub, pull: PullRequest, ref: str, sha: str) -> dict[str, Any]:
    repository = pull.repository
    return {
        "label": f"{repository.owner.login}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": issue_serializer.user(hub, repository.owner),
        "repo": issue_serializer.repository(hub, repository),
    }


def simple_pull(hub: Hub, pull: PullRequest) -> dict[str, Any]:
    """A pull request in lists and in review webhooks."""
    issue, repository = pull.issue, pull.repository
    api_url, html_url = (
        issue_serializer.repository_url(hub, repository),
        code_serializer.repository_html_url(hub, repository),
    )
    url, number = f"{api_url}/pulls/{pull.number}", pull.number
    links = {
        "self": url,
        "html": f"{html_url}/pull/{number}",
        "issue": f"{api_url}/issues/{number}",
        "comments": f"{api_url}/issues/{number}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{api_url}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{api_url}/statuses/{pull.head_sha}",
    }
    assignees = [issue_serializer.user(hub, user) for user in issue.assignees]
    return {
        "url": url,
        "id": pull.id,
        "node_id": pull.node_id,
        "html_url": links["html"],
        "diff_url": f"{links['html']}.diff",
        "patch_url": f"{links['html']}.patch",
        "issue_url": links["issue"],
        "number": number,
        "state": issue.state,
        "locked": issue.locked,
        "title": issue.title,
        "user": issue_serializer.user(hub, issue.user),
        "body": issue.body,
        "created_at": timestamp(issue.created_at),
        "updated_at": timestamp(issue.updated_at),
        "closed_at": timestamp_or_none(issue.closed_at),
        "merged_at": timestamp_or_none(pull.merged_at),
        "merge_commit_sha": pull.merge_commit_sha,
        "assignee": assignees[0] if assignees else None,
        "assignees": assignees,
        "requested_reviewers": [issue_serializer.user(hub, user) for user in pull.requested_reviewers],
        "requested_teams": [],
        "labels": [issue_serializer.label(hub, label) for label in issue.labels],
        "milestone": None,
        "draft": pull.draft,
        "commits_url": links["commits"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "comments_url": links["comments"],
        "statuses_url": links["statuses"],
        "head": _branch(hub, pull, pull.head_ref, pull.head_sha),
        "base": _branch(hub, pull, pull.base_ref, pull.base_sha),
        "_links": {name: {"href": href} for name, href in links.items()},
        "author_association": issue_serializer.author_association(repository, issue.user),
        "auto_merge": None,
        "active_lock_reason": issue.lock_reason,
    }


def pull_request(hub: Hub, pull: PullRequest) -> dict[str, Any]:
    """A pull request by itself, with what git says about it."""
    return {
        **simple_pull(hub, pull),
        "merged": pull.merged,
        "mergeable": pull.mergeable,
        "rebaseable": pull.mergeable,
        "mergeable_state": pull.mergeable_state,
        "merged_by": None if pull.merged_by is None else issue_serializer.user(hub, pull.merged_by),
        "comments": len(pull.issue.comments),
        "review_comments": len(pull.review_comments),
        "maintainer_can_modify": False,
        "commits": len(pull.commits),
        "additions": pull.additions,
        "deletions": pull.deletions,
        "changed_files": pull.changed_files,
    }


def review(hub: Hub, item: Review, *, webhook: bool = False) -> dict[str, Any]:
    """A review; webhooks write its state in lower case."""
    pull = item.pull
    url = f"{issue_serializer.repository_url(hub, pull.repository)}/pulls/{pull.number}"
    html_url = (
        f"{code_serializer.repository_html_url(hub, pull.repository)}/pull/{pull.number}#pullrequestreview-{item.id}"
    )
    payload = {
        "id": item.id,
        "node_id": item.node_id,
        "user": issue_serializer.user(hub, item.user),
        "body": item.body or (None if webhook else ""),
        "state": item.state.lower() if webhook else item.state,
        "html_url": html_url,
        "pull_request_url": url,
        "author_association": issue_serializer.author_association(pull.repository, item.user),
        "_links": {"html": {"href": html_url}, "pull_request": {"href": url}},
        "submitted_at": timestamp(item.submitted_at),
        "commit_id": item.commit_id,
    }
    if item.state == "PENDING":
        del payload["submitted_at"]
    return payload


def review_comment(hub: Hub, item: ReviewComment) -> dict[str, Any]:
    """A comment on a line of the diff."""
    pull = item.pull
    api_url = issue_serializer.repository_url(hub, pull.repository)
    url = f"{api_url}/pulls/comments/{item.id}"
    html_url = f"{code_serializer.repository_html_url(hub, pull.repository)}/pull/{pull.number}#discussion_r{item.id}"
    payload: dict[str, Any] = {
        "id": item.id,
        "node_id": item.node_id,
        "url": url,
        "pull_request_review_id": None if item.review is None else item.review.id,
        "diff_hunk": item.diff_hunk,
        "path": item.path,
        "commit_id": item.commit_id,
        "original_commit_id": item.commit_id,
        "user": issue_serializer.user(hub, item.user),
        "body": item.body,
        "created_at": timestamp(item.created_at),
        "updated_at": timestamp(item.updated_at),
        "html_url": html_url,
        "pull_request_url": f"{api_url}/pulls/{pull.number}",
        "author_association": issue_serializer.author_association(pull.repository, item.user),
        "_links": {
            "self": {"href": url},
            "html": {"href": html_url},
            "pull_request": {"href": f"{api_url}/pulls/{pull.number}"},
        },
        "reactions": issue_serializer.reaction_rollup(url, item.reactions),
        "start_line": item.start_line,
        "start_side": None if item.start_line is None else item.side,
        "original_start_line": item.start_line,
        "side": item.side,
        "subject_type": "line" if item.line is not None else "file",
    }
    if item.line is not None:
        payload |= {"line": item.line, "original_line": item.line}
    if item.in_reply_to is not None:
        payload["in_reply_to_id"] = item.in_reply_to
    return payload
