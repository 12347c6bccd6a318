"""Pull requests, reviews and review comments, as GitHub shows them in REST and in webhooks."""

from __future__ import annotations

from typing import Any

from sandbox.clock import timestamp, timestamp_or_none
from sandbox.hub import Hub
from sandbox.serializers import code as code_serializer
from sandbox.serializers import issues as issue_serializer
from sandbox.state.models import PullRequest, Review, ReviewComment


def _side(hub: Hub, pull: PullRequest, ref: str, sha: str) -> dict[str, Any]:
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
    at, page = issue_serializer.repository_url(hub, repository), code_serializer.html(hub, repository)
    url, number = f"{at}/pulls/{pull.number}", pull.number
    links = {
        "self": url,
        "html": f"{page}/pull/{number}",
        "issue": f"{at}/issues/{number}",
        "comments": f"{at}/issues/{number}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{at}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{at}/statuses/{pull.head_sha}",
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
        "head": _side(hub, pull, pull.head_ref, pull.head_sha),
        "base": _side(hub, pull, pull.base_ref, pull.base_sha),
        "_links": {name: {"href": href} for name, href in links.items()},
        "author_association": issue_serializer.association(repository, issue.user),
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


def review(hub: Hub, value: Review, *, webhook: bool = False) -> dict[str, Any]:
    """A review; webhooks write its state in lower case."""
    pull = value.pull
    url = f"{issue_serializer.repository_url(hub, pull.repository)}/pulls/{pull.number}"
    page = f"{code_serializer.html(hub, pull.repository)}/pull/{pull.number}#pullrequestreview-{value.id}"
    shown = {
        "id": value.id,
        "node_id": value.node_id,
        "user": issue_serializer.user(hub, value.user),
        "body": value.body or (None if webhook else ""),
        "state": value.state.lower() if webhook else value.state,
        "html_url": page,
        "pull_request_url": url,
        "author_association": issue_serializer.association(pull.repository, value.user),
        "_links": {"html": {"href": page}, "pull_request": {"href": url}},
        "submitted_at": timestamp(value.submitted_at),
        "commit_id": value.commit_id,
    }
    if value.state == "PENDING":
        del shown["submitted_at"]
    return shown


def review_comment(hub: Hub, value: ReviewComment) -> dict[str, Any]:
    """A comment on a line of the diff."""
    pull = value.pull
    at = issue_serializer.repository_url(hub, pull.repository)
    url = f"{at}/pulls/comments/{value.id}"
    page = f"{code_serializer.html(hub, pull.repository)}/pull/{pull.number}#discussion_r{value.id}"
    shown: dict[str, Any] = {
        "id": value.id,
        "node_id": value.node_id,
        "url": url,
        "pull_request_review_id": None if value.review is None else value.review.id,
        "diff_hunk": value.diff_hunk,
        "path": value.path,
        "commit_id": value.commit_id,
        "original_commit_id": value.commit_id,
        "user": issue_serializer.user(hub, value.user),
        "body": value.body,
        "created_at": timestamp(value.created_at),
        "updated_at": timestamp(value.updated_at),
        "html_url": page,
        "pull_request_url": f"{at}/pulls/{pull.number}",
        "author_association": issue_serializer.association(pull.repository, value.user),
        "_links": {
            "self": {"href": url},
            "html": {"href": page},
            "pull_request": {"href": f"{at}/pulls/{pull.number}"},
        },
        "reactions": issue_serializer.rollup(url, value.reactions),
        "start_line": value.start_line,
        "start_side": None if value.start_line is None else value.side,
        "original_start_line": value.start_line,
        "side": value.side,
        "subject_type": "line" if value.line is not None else "file",
    }
    if value.line is not None:
        shown |= {"line": value.line, "original_line": value.line}
    if value.in_reply_to is not None:
        shown["in_reply_to_id"] = value.in_reply_to
    return shown
