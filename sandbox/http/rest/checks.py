"""Check runs and check suites. Only Apps may write them."""

from __future__ import annotations

from typing import Any

from sandbox.errors import ApiError, not_accessible, not_found
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import issues as issue_serializer
from sandbox.services import checks
from sandbox.state.models import App, CheckRun, CheckSuite

REPO = "/repos/{owner}/{repo}"
FIELDS = (
    "name",
    "status",
    "conclusion",
    "details_url",
    "external_id",
    "started_at",
    "completed_at",
    "output",
    "actions",
)


@route("POST", REPO + "/check-runs", "checks/create", permission="checks:write")
async def create(call: Call) -> Reply:
    """Make a check run on a commit."""
    sha = await commit(call, call.required("head_sha", str))
    name = call.required("name", str)
    fields = {key: call.body[key] for key in FIELDS if key != "name" and call.has_field(key)}
    run = checks.create_run(call.hub, call.repository, _writer(call), sha, name, **fields)
    return Reply(201, issue_serializer.check_run(call.hub, run))


@route("GET", REPO + "/check-runs/{check_run_id}", "checks/get", permission="checks:read")
async def get(call: Call) -> Reply:
    """One check run."""
    return Reply(200, issue_serializer.check_run(call.hub, _run(call)))


@route("PATCH", REPO + "/check-runs/{check_run_id}", "checks/update", permission="checks:write")
async def update(call: Call) -> Reply:
    """Change a check run of one's own."""
    run = _run(call)
    if run.app is not _writer(call):
        raise ApiError(
            403,
            "Invalid app_id `"
            + str(run.app.id)
            + "` - check run can only be modified by the GitHub App that created it.",
        )
    fields = {key: call.body[key] for key in FIELDS if call.has_field(key)}
    checks.update_run(call.hub, run, **fields)
    return Reply(200, issue_serializer.check_run(call.hub, run))


@route(
    "GET",
    REPO + "/check-runs/{check_run_id}/annotations",
    "checks/list-annotations",
    permission="checks:read",
)
async def list_annotations(call: Call) -> Reply:
    """The annotations of a check run."""
    run = _run(call)
    page = f"{call.hub.url}/{call.repository.full_name}/blob/{run.head_sha}"
    return call.paginate(run.annotations, lambda one: _annotation(one, page))


@route("POST", REPO + "/check-runs/{check_run_id}/rerequest", "checks/rerequest-run", permission="checks:write")
async def rerequest(call: Call) -> Reply:
    """Ask the App that made it to run it again."""
    checks.rerequest_run(call.hub, _run(call), call.actor)
    return Reply(201, {})


@route("GET", REPO + "/commits/{ref:.+}/check-runs", "checks/list-for-ref", permission="checks:read")
async def list_for_ref(call: Call) -> Reply:
    """The check runs of a commit."""
    sha = await commit(call, call.params["ref"])
    return _runs(call, [one for one in call.repository.check_suites.values() if one.head_sha == sha])


@route("GET", REPO + "/commits/{ref:.+}/check-suites", "checks/list-suites-for-ref", permission="checks:read")
async def suites_for_ref(call: Call) -> Reply:
    """The check suites of a commit."""
    sha = await commit(call, call.params["ref"])
    app_id, name = call.query.get("app_id"), call.query.get("check_name")
    found = [
        one
        for one in call.repository.check_suites.values()
        if one.head_sha == sha
        and app_id in (None, str(one.app.id))
        and (name is None or name in [run.name for run in one.runs])
    ]
    return call.paginate(found, lambda one: issue_serializer.check_suite(call.hub, one), key="check_suites")


@route("POST", REPO + "/check-suites", "checks/create-suite", permission="checks:write")
async def create_suite(call: Call) -> Reply:
    """The App's suite on a commit: 201 when made, 200 when it was there."""
    sha, app = await commit(call, call.required("head_sha", str)), _writer(call)
    known = any(one.app is app and one.head_sha == sha for one in call.repository.check_suites.values())
    suite = checks.get_or_create_suite(call.hub, call.repository, app, sha)
    return Reply(200 if known else 201, issue_serializer.check_suite(call.hub, suite))


@route("GET", REPO + "/check-suites/{check_suite_id}", "checks/get-suite", permission="checks:read")
async def get_suite(call: Call) -> Reply:
    """One check suite."""
    return Reply(200, issue_serializer.check_suite(call.hub, _suite(call)))


@route(
    "GET",
    REPO + "/check-suites/{check_suite_id}/check-runs",
    "checks/list-for-suite",
    permission="checks:read",
)
async def list_for_suite(call: Call) -> Reply:
    """The check runs of a suite."""
    return _runs(call, [_suite(call)])


@route(
    "POST",
    REPO + "/check-suites/{check_suite_id}/rerequest",
    "checks/rerequest-suite",
    permission="checks:write",
)
async def rerequest_suite(call: Call) -> Reply:
    """Ask the App to run the whole suite again."""
    checks.rerequest_suite(call.hub, _suite(call), call.actor)
    return Reply(201, {})


async def commit(call: Call, revision: str) -> str:
    """The commit that a branch, tag or SHA names. Raises ApiError 422 as GitHub does for an unknown one."""
    sha = await call.repository.git.resolve(revision.removeprefix("refs/"))
    if sha is None and "/" in revision:
        sha = await call.repository.git.resolve(revision.split("/", 1)[1])
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {revision}")
    return sha


def _writer(call: Call) -> App:
    if call.credential.kind not in ("installation", "run") or call.credential.app is None:
        raise (
            not_accessible()
            if call.credential.kind == "app"
            else ApiError(403, "You must authenticate via a GitHub App.")
        )
    return call.credential.app


def _run(call: Call) -> CheckRun:
    wanted = call.number("check_run_id")
    for suite in call.repository.check_suites.values():
        for run in suite.runs:
            if run.id == wanted:
                return run
    raise not_found()


def _suite(call: Call) -> CheckSuite:
    suite = call.repository.check_suites.get(call.number("check_suite_id"))
    if suite is None:
        raise not_found()
    return suite


def _runs(call: Call, suites: list[CheckSuite]) -> Reply:
    query = call.query
    latest = query.get("filter", "latest") == "latest"
    found = [run for suite in suites for run in (suite.latest_runs if latest else suite.runs)]
    found = [
        run
        for run in found
        if query.get("check_name") in (None, run.name)
        and query.get("status") in (None, run.status)
        and query.get("app_id") in (None, str(run.app.id))
    ]
    found.sort(key=lambda run: run.id, reverse=True)
    return call.paginate(found, lambda run: issue_serializer.check_run(call.hub, run), key="check_runs")


def _annotation(one: dict[str, Any], page: str) -> dict[str, Any]:
    return {
        "path": one["path"],
        "blob_href": f"{page}/{one['path']}",
        "start_line": one["start_line"],
        "end_line": one["end_line"],
        "start_column": one.get("start_column"),
        "end_column": one.get("end_column"),
        "annotation_level": one["annotation_level"],
        "title": one.get("title"),
        "message": one["message"],
        "raw_details": one.get("raw_details"),
    }
