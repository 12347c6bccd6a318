"""REST: pull requests, their commits, files and merge."""

from __future__ import annotations

from sandbox.errors import ApiError, invalid_request, not_found
from sandbox.git.objects import ZERO
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import code as code_serializer
from sandbox.serializers import issues as issue_serializer
from sandbox.serializers import pulls as pull_serializer
from sandbox.services import merges, pulls
from sandbox.state.models import PullRequest, role_at_least

PULL = "/repos/{owner}/{repo}/pulls/{pull_number}"
READ, WRITE = "pull_requests:read", "pull_requests:write"


@route("GET", "/repos/{owner}/{repo}/pulls", "pulls/list", permission=READ)
async def list_pulls(call: Call) -> Reply:
    """Pull requests by state, head and base, newest first by default."""
    state = call.query.get("state", "open")
    head, base = call.query.get("head"), call.query.get("base")
    owner = call.repository.owner.login
    matching_pulls = [
        pull
        for pull in call.repository.pulls()
        if state in ("all", pull.state)
        and head in (None, "", f"{owner}:{pull.head_ref}")
        and base in (None, "", pull.base_ref)
    ]
    sort = call.query.get("sort", "created")
    matching_pulls.sort(
        key=lambda pull: (pull.issue.updated_at if sort == "updated" else pull.issue.created_at, pull.number)
    )
    if call.query.get("direction", "asc" if "sort" in call.query and sort != "created" else "desc") == "desc":
        matching_pulls.reverse()
    return call.paginate(matching_pulls, lambda pull: pull_serializer.simple_pull(call.hub, pull))


@route("POST", "/repos/{owner}/{repo}/pulls", "pulls/create", permission=WRITE, role="read", content=True)
async def create_pull(call: Call) -> Reply:
    """Open a pull request."""
    pull = await pulls.open_pull(
        call.hub,
        call.repository,
        call.actor,
        head=call.required("head", str),
        base=call.required("base", str),
        title=call.text("title") or "",
        body=call.text("body"),
        draft=bool(call.field("draft", bool, default=False)),
        via_app=call.via_app,
    )
    body = pull_serializer.pull_request(call.hub, pull)
    return Reply(201, body, {"Location": body["url"]})


@route("GET", PULL, "pulls/get", permission=READ)
async def get_pull(call: Call) -> Reply:
    """One pull request; reading it starts the computation of its mergeability, as on GitHub."""
    pull = call.pull()
    if pull.state == "open" and pull.mergeable is None:
        body = pull_serializer.pull_request(call.hub, pull)
        pulls.schedule_mergeability_check(call.hub, pull)
        return Reply(200, body)
    pulls.refresh_state(pull)
    return Reply(200, pull_serializer.pull_request(call.hub, pull))


@route("PATCH", PULL, "pulls/update", permission=WRITE, role="read")
async def update_pull(call: Call) -> Reply:
    """Change title, text, base or state."""
    pull = call.pull()
    _check_author_or_write(call, pull)
    body = call.text("body")
    if body is None and call.has_field("body"):
        body = ""
    await pulls.edit(call.hub, pull, call.actor, title=call.text("title"), body=body, base=call.text("base"))
    state = call.text("state")
    if state == "closed":
        pulls.close(call.hub, pull, call.actor)
    elif state == "open":
        await pulls.reopen(call.hub, pull, call.actor)
    elif state is not None:
        raise invalid_request(f"For 'properties/state', {state!r} is not one of open, closed.")
    return Reply(200, pull_serializer.pull_request(call.hub, pull))


def _check_author_or_write(call: Call, pull: PullRequest) -> None:
    is_other_user = call.credential.kind == "user" and pull.user is not call.actor
    if is_other_user and not role_at_least(call.repository.role_of(call.actor), "write"):
        raise not_found()


@route("GET", f"{PULL}/commits", "pulls/list-commits", permission=READ)
async def list_commits(call: Call) -> Reply:
    """Its commits, oldest first."""
    pull_commits = await pulls.list_commits(call.pull())
    return call.paginate(pull_commits, lambda commit: code_serializer.commit(call.hub, call.repository, commit))


@route("GET", f"{PULL}/files", "pulls/list-files", permission=READ)
async def list_files(call: Call) -> Reply:
    """Its changed files with patches."""
    pull = call.pull()
    files = await pulls.list_files(pull)
    return call.paginate(
        files, lambda change: code_serializer.diff_file(call.hub, call.repository, change, pull.head_sha)
    )


@route("GET", f"{PULL}/merge", "pulls/check-if-merged", permission=READ)
async def check_merged(call: Call) -> Reply:
    """204 when merged, 404 when not."""
    if not call.pull().merged:
        raise not_found()
    return Reply(204)


@route("PUT", f"{PULL}/merge", "pulls/merge", permission="contents:write")
async def merge_pull(call: Call) -> Reply:
    """Merge it; with `sha` only when that is its head."""
    sha = await merges.merge_pull(
        call.hub,
        call.pull(),
        call.actor,
        method=call.text("merge_method") or "merge",
        sha=call.text("sha"),
        title=call.text("commit_title"),
        message=call.text("commit_message"),
    )
    return Reply(200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


@route("PUT", f"{PULL}/update-branch", "pulls/update-branch", permission=WRITE)
async def update_branch(call: Call) -> Reply:
    """Merge the base into the head branch."""
    await merges.update_branch(call.hub, call.pull(), call.actor, expected_head=call.text("expected_head_sha"))
    return Reply(202, {"message": "Updating pull request branch.", "url": f"{call.hub.url}/{call.path}"})


@route(
    "GET",
    "/repos/{owner}/{repo}/commits/{commit_sha}/pulls",
    "repos/list-pull-requests-associated-with-commit",
    permission="pull_requests:read|contents:read",
)
async def list_commit_pulls(call: Call) -> Reply:
    """The pull requests that a commit belongs to: as head, as one of the commits, or as merge."""
    sha = await call.repository.git.resolve(call.params["commit_sha"])
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {call.params['commit_sha']}")
    matching_pulls = []
    for pull in call.repository.pulls():
        is_tip = sha in (pull.head_sha, pull.merge_commit_sha if pull.merged else None)
        if is_tip or any(commit.sha == sha for commit in await pulls.list_commits(pull)):
            matching_pulls.append(pull)
    return call.paginate(matching_pulls, lambda pull: pull_serializer.simple_pull(call.hub, pull))


@route("POST", "/repos/{owner}/{repo}/merges", "repos/merge", permission="contents:write")
async def merge_branches(call: Call) -> Reply:
    """Merge a branch into another; 204 when there is nothing to merge."""
    merge_sha = await merges.merge_branches(
        call.hub,
        call.repository,
        call.actor,
        base=call.required("base", str),
        head=call.required("head", str),
        message=call.text("commit_message"),
    )
    if merge_sha is None:
        return Reply(204)
    git = call.repository.git
    commit = await git.commit(merge_sha)
    changes = await git.changes(commit.parents[0] if commit.parents else ZERO, merge_sha)
    return Reply(201, code_serializer.commit(call.hub, call.repository, commit, changes))


@route("GET", f"{PULL}/requested_reviewers", "pulls/list-requested-reviewers", permission=READ)
async def list_requested_reviewers(call: Call) -> Reply:
    """The requested reviewers."""
    users = [issue_serializer.user(call.hub, user) for user in call.pull().requested_reviewers]
    return Reply(200, {"users": users, "teams": []})
