"""REST: commits, comparisons and branches."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sandbox.errors import ApiError, not_found
from sandbox.git.objects import EMPTY_TREE
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import code as code_serializer
from sandbox.serializers import issues as issue_serializer

REPO = "/repos/{owner}/{repo}"


async def resolve_commit(call: Call, revision: str) -> str:
    """The commit of a branch, tag or SHA. Raises ApiError 422 as GitHub does for unknown ones."""
    sha = await call.repository.git.resolve(revision)
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {revision}")
    return sha


@route("GET", f"{REPO}/commits", "repos/list-commits", permission="contents:read")
async def list_commits(call: Call) -> Reply:
    """Commits reachable from a branch or SHA, newest first, optionally only those that touch a path."""
    sha = await call.repository.git.resolve(call.query.get("sha") or call.repository.default_branch)
    if sha is None:
        if call.query.get("sha"):
            raise not_found()
        raise ApiError(409, "Git Repository is empty.")
    options = [f"--{name}={call.query[name]}" for name in ("since", "until", "author") if name in call.query]
    paths = [call.query["path"]] if call.query.get("path") else []
    matching = await call.repository.git.commits(*options, sha, paths=paths)
    return call.paginate(matching, lambda commit: code_serializer.commit(call.hub, call.repository, commit))


@route("GET", f"{REPO}/commits/{{ref:.+}}", "repos/get-commit", permission="contents:read")
async def get_commit(call: Call) -> Reply:
    """One commit with its files."""
    git = call.repository.git
    commit = await git.commit(await resolve_commit(call, call.params["ref"]))
    if "application/vnd.github.sha" in call.headers.get("Accept", ""):
        return Reply(200, commit.sha)
    files = await git.changes(commit.parents[0] if commit.parents else EMPTY_TREE, commit.sha)
    return Reply(200, code_serializer.commit(call.hub, call.repository, commit, files))


async def _compare_commits(call: Call, base: str, head: str) -> Reply:
    hub, repository, git = call.hub, call.repository, call.repository.git
    owner_prefix = f"{repository.owner.login}:"
    ours = await git.resolve(base.removeprefix(owner_prefix))
    theirs = await git.resolve(head.removeprefix(owner_prefix))
    if ours is None or theirs is None:
        raise not_found()
    merge_base = await git.merge_base(ours, theirs)
    if merge_base is None:
        raise ApiError(404, f"No common ancestor between {base} and {head}.")
    ahead, behind = len(await git.commits_between(ours, theirs)), len(await git.commits_between(theirs, ours))
    commits = list(reversed(await git.commits(f"{ours}..{theirs}")))
    files = await git.changes(merge_base, theirs)
    states = {
        (False, False): "identical",
        (True, False): "ahead",
        (False, True): "behind",
        (True, True): "diverged",
    }
    name = f"{quote(base, safe=':')}...{quote(head, safe=':')}"
    html_url = f"{code_serializer.repository_html_url(hub, repository)}/compare/{name}"
    commit_page = call.paginate(commits, lambda commit: code_serializer.commit(hub, repository, commit))
    body: dict[str, Any] = {
        "url": f"{issue_serializer.repository_url(hub, repository)}/compare/{name}",
        "html_url": html_url,
        "permalink_url": f"{code_serializer.repository_html_url(hub, repository)}/compare/{ours}...{theirs}",
        "diff_url": f"{html_url}.diff",
        "patch_url": f"{html_url}.patch",
        "base_commit": code_serializer.commit(hub, repository, await git.commit(ours)),
        "merge_base_commit": code_serializer.commit(hub, repository, await git.commit(merge_base)),
        "status": states[ahead > 0, behind > 0],
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": commit_page.body,
        "files": [code_serializer.diff_file(hub, repository, change, theirs) for change in files],
    }
    return Reply(200, body, commit_page.headers)


@route(
    "GET",
    f"{REPO}/compare/{{basehead:.+}}",
    "repos/compare-commits-with-basehead",
    permission="contents:read",
)
async def compare_commits(call: Call) -> Reply:
    """The commits and files that `head` has and `base` does not, from the merge base."""
    base, dots, head = call.params["basehead"].partition("...")
    if not dots:
        raise not_found()
    return await _compare_commits(call, base, head)


def _branch_payload(call: Call, name: str) -> dict[str, Any]:
    repository = call.repository
    api_url = issue_serializer.repository_url(call.hub, repository)
    rules = (repository.required_checks.get(name), repository.required_approvals.get(name))
    protected = any(rules) or name in repository.strict_branches
    return {
        "name": name,
        "protected": protected,
        "protection": {
            "enabled": protected,
            "required_status_checks": {
                "enforcement_level": "everyone" if protected else "off",
                "contexts": list(repository.required_checks.get(name, [])),
                "checks": [
                    {"context": context, "app_id": None} for context in repository.required_checks.get(name, [])
                ],
            },
        },
        "protection_url": f"{api_url}/branches/{quote(name, safe='')}/protection",
    }


@route("GET", f"{REPO}/branches", "repos/list-branches", permission="contents:read")
async def list_branches(call: Call) -> Reply:
    """The branches of the repository."""
    heads = await call.repository.git.refs("refs/heads/")
    api_url = issue_serializer.repository_url(call.hub, call.repository)
    return call.paginate(
        [(name.removeprefix("refs/heads/"), sha) for name, sha in heads.items()],
        lambda pair: {
            **_branch_payload(call, pair[0]),
            "commit": {"sha": pair[1], "url": f"{api_url}/commits/{pair[1]}"},
        },
    )


@route("GET", f"{REPO}/branches/{{branch:.+}}", "repos/get-branch", permission="contents:read")
async def get_branch(call: Call) -> Reply:
    """One branch with its newest commit."""
    name = call.params["branch"]
    sha = call.repository.git.ref(f"refs/heads/{name}")
    if sha is None:
        raise ApiError(404, "Branch not found")
    api_url = issue_serializer.repository_url(call.hub, call.repository)
    html_url = f"{code_serializer.repository_html_url(call.hub, call.repository)}/tree/{quote(name)}"
    commit = code_serializer.commit(call.hub, call.repository, await call.repository.git.commit(sha))
    links = {"self": f"{api_url}/branches/{quote(name, safe='')}", "html": html_url}
    return Reply(200, {**_branch_payload(call, name), "commit": commit, "_links": links})
