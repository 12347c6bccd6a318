"""People, organisations, Apps, installations and repositories as GitHub's JSON shows them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sandbox.clock import timestamp, timestamp_or_none
from sandbox.hub import Hub
from sandbox.state.models import Account, App, Installation, Organisation, Repository, User, role_at_least

Json = dict[str, Any]
_REPOSITORY_LINKS = {
    "archive": "/{archive_format}{/ref}",
    "assignees": "/assignees{/user}",
    "blobs": "/git/blobs{/sha}",
    "branches": "/branches{/branch}",
    "collaborators": "/collaborators{/collaborator}",
    "comments": "/comments{/number}",
    "commits": "/commits{/sha}",
    "compare": "/compare/{base}...{head}",
    "contents": "/contents/{+path}",
    "contributors": "/contributors",
    "deployments": "/deployments",
    "downloads": "/downloads",
    "events": "/events",
    "forks": "/forks",
    "git_commits": "/git/commits{/sha}",
    "git_refs": "/git/refs{/sha}",
    "git_tags": "/git/tags{/sha}",
    "hooks": "/hooks",
    "issue_comment": "/issues/comments{/number}",
    "issue_events": "/issues/events{/number}",
    "issues": "/issues{/number}",
    "keys": "/keys{/key_id}",
    "labels": "/labels{/name}",
    "languages": "/languages",
    "merges": "/merges",
    "milestones": "/milestones{/number}",
    "notifications": "/notifications{?since,all,participating}",
    "pulls": "/pulls{/number}",
    "releases": "/releases{/id}",
    "stargazers": "/stargazers",
    "statuses": "/statuses/{sha}",
    "subscribers": "/subscribers",
    "subscription": "/subscription",
    "tags": "/tags",
    "teams": "/teams",
    "trees": "/git/trees{/sha}",
}


def repository_url(hub: Hub, repository: Repository) -> str:
    """The API address of a repository."""
    return f"{hub.url}/repos/{repository.full_name}"


def user(hub: Hub, account: Account) -> Json:
    """A person, a bot or an organisation in the short form (`simple-user`)."""
    url = f"{hub.url}/users/{quote(account.login, safe='')}"
    html_path = account.login
    if account.type == "Bot":
        html_path = f"apps/{account.login.removesuffix('[bot]')}"
    return {
        "login": account.login,
        "id": account.id,
        "node_id": account.node_id,
        "avatar_url": f"{hub.url}/avatars/u/{account.id}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{hub.url}/{html_path}",
        "followers_url": f"{url}/followers",
        "following_url": url + "/following{/other_user}",
        "gists_url": url + "/gists{/gist_id}",
        "starred_url": url + "/starred{/owner}{/repo}",
        "subscriptions_url": f"{url}/subscriptions",
        "organizations_url": f"{url}/orgs",
        "repos_url": f"{url}/repos",
        "events_url": url + "/events{/privacy}",
        "received_events_url": f"{url}/received_events",
        "type": account.type,
        "user_view_type": "public",
        "site_admin": False,
    }


def organisation(hub: Hub, account: Organisation) -> Json:
    """An organisation as webhooks carry it."""
    url = f"{hub.url}/orgs/{account.login}"
    return {
        "login": account.login,
        "id": account.id,
        "node_id": account.node_id,
        "url": url,
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events",
        "hooks_url": f"{url}/hooks",
        "issues_url": f"{url}/issues",
        "members_url": url + "/members{/member}",
        "public_members_url": url + "/public_members{/member}",
        "avatar_url": f"{hub.url}/avatars/u/{account.id}?v=4",
        "description": None,
    }


def app(hub: Hub, item: App) -> Json:
    """A GitHub App (`integration`)."""
    return {
        "id": item.id,
        "client_id": item.client_id,
        "slug": item.slug,
        "node_id": item.node_id,
        "owner": user(hub, item.owner),
        "name": item.name,
        "description": item.description,
        "external_url": f"{hub.url}/apps/{item.slug}",
        "html_url": f"{hub.url}/apps/{item.slug}",
        "created_at": timestamp(item.created_at),
        "updated_at": timestamp(item.created_at),
        "permissions": dict(item.permissions),
        "events": list(item.events),
    }


def installation(hub: Hub, item: Installation) -> Json:
    """An installation of an App."""
    return {
        "id": item.id,
        "client_id": item.app.client_id,
        "account": user(hub, item.account),
        "repository_selection": item.selection,
        "access_tokens_url": f"{hub.url}/app/installations/{item.id}/access_tokens",
        "repositories_url": f"{hub.url}/installation/repositories",
        "html_url": f"{hub.url}/organizations/{item.account.login}/settings/installations/{item.id}",
        "app_id": item.app.id,
        "app_slug": item.app.slug,
        "target_id": item.account.id,
        "target_type": item.account.type,
        "permissions": dict(item.permissions),
        "events": list(item.events),
        "created_at": timestamp(item.created_at),
        "updated_at": timestamp(item.updated_at),
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "suspended_by": None if item.suspended_by is None else user(hub, item.suspended_by),
        "suspended_at": timestamp_or_none(item.suspended_at),
    }


def installed_repository(item: Repository) -> Json:
    """A repository as the `installation` webhooks list it."""
    return {
        "id": item.id,
        "node_id": item.node_id,
        "name": item.name,
        "full_name": item.full_name,
        "private": item.private,
    }


def repository(hub: Hub, item: Repository) -> Json:
    """A repository, as webhooks and lists carry it."""
    url, html_url = repository_url(hub, item), f"{hub.url}/{item.full_name}"
    open_issues = sum(1 for issue in item.issues.values() if issue.state == "open")
    host = hub.url.partition("://")[2]
    return {
        "id": item.id,
        "node_id": item.node_id,
        "name": item.name,
        "full_name": item.full_name,
        "private": item.private,
        "owner": user(hub, item.owner),
        "html_url": html_url,
        "description": item.description,
        "fork": False,
        "url": url,
        **{f"{name}_url": url + path for name, path in _REPOSITORY_LINKS.items()},
        "created_at": timestamp(item.created_at),
        "updated_at": timestamp(item.updated_at),
        "pushed_at": timestamp(item.pushed_at),
        "git_url": f"git://{host}/{item.full_name}.git",
        "ssh_url": f"git@{host}:{item.full_name}.git",
        "clone_url": f"{html_url}.git",
        "svn_url": html_url,
        "homepage": None,
        "size": 0,
        "stargazers_count": 0,
        "watchers_count": 0,
        "language": None,
        "has_issues": item.has_issues,
        "has_projects": False,
        "has_downloads": True,
        "has_wiki": False,
        "has_pages": False,
        "has_discussions": False,
        "forks_count": 0,
        "mirror_url": None,
        "archived": item.archived,
        "disabled": False,
        "open_issues_count": open_issues,
        "license": None,
        "allow_forking": True,
        "is_template": False,
        "web_commit_signoff_required": False,
        "topics": [],
        "visibility": "private" if item.private else "public",
        "forks": 0,
        "open_issues": open_issues,
        "watchers": 0,
        "default_branch": item.default_branch,
        "custom_properties": {},
    }


def permissions(item: Repository, person: User) -> Json:
    """What a person may do, as the `permissions` of a repository."""
    role = item.role_of(person)
    return {
        "admin": role_at_least(role, "admin"),
        "maintain": role_at_least(role, "maintain"),
        "push": role_at_least(role, "write"),
        "triage": role_at_least(role, "triage"),
        "pull": role_at_least(role, "read"),
    }


def full_repository(hub: Hub, item: Repository, viewer: User | None) -> Json:
    """A repository as `GET /repos/{owner}/{repo}` gives it, with its merge settings."""
    payload = repository(hub, item)
    del payload["custom_properties"]
    payload |= {
        "network_count": 0,
        "subscribers_count": 0,
        "allow_merge_commit": item.allow_merge_commit,
        "allow_squash_merge": item.allow_squash_merge,
        "allow_rebase_merge": item.allow_rebase_merge,
        "allow_auto_merge": item.allow_auto_merge,
        "delete_branch_on_merge": item.delete_branch_on_merge,
        "allow_update_branch": False,
        "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
        "squash_merge_commit_message": "COMMIT_MESSAGES",
        "merge_commit_title": "MERGE_MESSAGE",
        "merge_commit_message": "PR_TITLE",
    }
    if viewer is not None:
        payload["permissions"] = permissions(item, viewer)
    if isinstance(item.owner, Organisation):
        payload["organization"] = user(hub, item.owner)
    return payload
