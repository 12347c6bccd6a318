"""Issues, labels, comments and reactions as GitHub's JSON shows them, in responses and in webhooks.

It exports the functions of `base` and `checks` too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from urllib.parse import quote

from sandbox.clock import timestamp, timestamp_or_none
from sandbox.hub import Hub
from sandbox.serializers.base import (
    Json,
    app,
    full_repository,
    installation,
    installed_repository,
    organisation,
    permissions,
    repository,
    repository_url,
    user,
)
from sandbox.serializers.checks import check_run, check_suite, pull_reference, status, suite_pulls
from sandbox.state.models import Comment, Issue, IssueEvent, Label, Organisation, Reaction, Repository, User

__all__ = [
    "REACTIONS",
    "Json",
    "app",
    "author_association",
    "check_run",
    "check_suite",
    "comment",
    "full_repository",
    "installation",
    "installed_repository",
    "issue",
    "issue_event",
    "label",
    "organisation",
    "permissions",
    "pull_reference",
    "reaction",
    "reaction_rollup",
    "repository",
    "repository_url",
    "status",
    "suite_pulls",
    "user",
]

REACTIONS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")


def label(hub: Hub, item: Label) -> Json:
    """A label."""
    return {
        "id": item.id,
        "node_id": item.node_id,
        "url": f"{repository_url(hub, item.repository)}/labels/{quote(item.name, safe='')}",
        "name": item.name,
        "color": item.color,
        "default": item.default,
        "description": item.description,
    }


def reaction_rollup(url: str, reactions: Sequence[Reaction]) -> Json:
    """The counts of reactions."""
    counts = Counter(reaction.content for reaction in reactions)
    return {
        "url": f"{url}/reactions",
        "total_count": len(reactions),
        **{name: counts[name] for name in REACTIONS},
    }


def reaction(hub: Hub, item: Reaction) -> Json:
    """One reaction."""
    return {
        "id": item.id,
        "node_id": item.node_id,
        "user": user(hub, item.user),
        "content": item.content,
        "created_at": timestamp(item.created_at),
    }


def author_association(repository: Repository, person: User) -> str:
    """The person's association with the repository."""
    owner = repository.owner
    if owner is person:
        return "OWNER"
    if isinstance(owner, Organisation) and person.id in owner.members:
        return "MEMBER"
    return "COLLABORATOR" if repository.is_collaborator(person) else "NONE"


def issue(hub: Hub, item: Issue, *, webhook: bool = False) -> Json:
    """An issue, or a pull request as an issue. In webhooks `closed_by` and `repository` are left out."""
    api_url = repository_url(hub, item.repository)
    url = f"{api_url}/issues/{item.number}"
    html_url = f"{hub.url}/{item.repository.full_name}/{'issues' if item.pull is None else 'pull'}/{item.number}"
    children = item.sub_issues
    completed = sum(1 for child in children if child.state == "closed")
    payload: Json = {
        "url": url,
        "repository_url": api_url,
        "labels_url": url + "/labels{/name}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": html_url,
        "id": item.id,
        "node_id": item.node_id,
        "number": item.number,
        "title": item.title,
        "user": user(hub, item.user),
        "labels": [label(hub, item_label) for item_label in item.labels],
        "state": item.state,
        "locked": item.locked,
        "assignee": user(hub, item.assignees[0]) if item.assignees else None,
        "assignees": [user(hub, assignee) for assignee in item.assignees],
        "milestone": None,
        "comments": len(item.comments),
        "created_at": timestamp(item.created_at),
        "updated_at": timestamp(item.updated_at),
        "closed_at": timestamp_or_none(item.closed_at),
        "author_association": author_association(item.repository, item.user),
        "active_lock_reason": item.lock_reason,
        "body": item.body,
        "reactions": reaction_rollup(url, item.reactions),
        "timeline_url": f"{url}/timeline",
        "performed_via_github_app": None if item.via_app is None else app(hub, item.via_app),
        "state_reason": item.state_reason,
        "sub_issues_summary": {
            "total": len(children),
            "completed": completed,
            "percent_completed": 100 * completed // len(children) if children else 0,
        },
        "issue_dependencies_summary": {
            "blocked_by": sum(1 for blocker in item.blocked_by if blocker.state == "open"),
            "total_blocked_by": len(item.blocked_by),
            "blocking": sum(1 for blocked in item.blocking if blocked.state == "open"),
            "total_blocking": len(item.blocking),
        },
    }
    if item.parent is not None:
        payload["parent_issue_url"] = f"{repository_url(hub, item.parent.repository)}/issues/{item.parent.number}"
    if item.pull is not None:
        payload["draft"] = item.pull.draft
        payload["pull_request"] = {
            "url": f"{api_url}/pulls/{item.number}",
            "html_url": html_url,
            "diff_url": f"{html_url}.diff",
            "patch_url": f"{html_url}.patch",
            "merged_at": timestamp_or_none(item.pull.merged_at),
        }
    if not webhook:
        payload["closed_by"] = None if item.closed_by is None else user(hub, item.closed_by)
    return payload


def comment(hub: Hub, item: Comment) -> Json:
    """A comment on an issue or a pull request."""
    api_url = repository_url(hub, item.issue.repository)
    kind = "issues" if item.issue.pull is None else "pull"
    html_url = f"{hub.url}/{item.issue.repository.full_name}/{kind}/{item.issue.number}"
    url = f"{api_url}/issues/comments/{item.id}"
    return {
        "url": url,
        "html_url": f"{html_url}#issuecomment-{item.id}",
        "issue_url": f"{api_url}/issues/{item.issue.number}",
        "id": item.id,
        "node_id": item.node_id,
        "user": user(hub, item.user),
        "created_at": timestamp(item.created_at),
        "updated_at": timestamp(item.updated_at),
        "author_association": author_association(item.issue.repository, item.user),
        "body": item.body,
        "reactions": reaction_rollup(url, item.reactions),
        "performed_via_github_app": None if item.via_app is None else app(hub, item.via_app),
    }


def issue_event(hub: Hub, item: IssueEvent, *, with_issue: bool = False) -> Json:
    """An event of an issue."""
    payload: Json = {
        "id": item.id,
        "node_id": item.node_id,
        "url": f"{repository_url(hub, item.issue.repository)}/issues/events/{item.id}",
        "actor": user(hub, item.actor),
        "event": item.event,
        "commit_id": None,
        "commit_url": None,
        "created_at": timestamp(item.created_at),
        "performed_via_github_app": None if item.via_app is None else app(hub, item.via_app),
        **item.details,
    }
    if with_issue:
        payload["issue"] = issue(hub, item.issue)
    return payload
