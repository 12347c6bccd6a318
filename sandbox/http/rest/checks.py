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
async def create_run(call: Call) -> Reply:
    """Create a check run on a commit."""
    sha = await resolve_ref(call, call.required("head_sha", str))
    name = call.required("name", str)
    fields = {key: call.body[key] for key in FIELDS if key != "name" and call.has_field(key)}
    run = checks.create_run(call.hub, call.repository, _authenticated_app(call), sha, name, **fields)
    return Reply(201, issue_serializer.check_run(call.hub, run))


@route("GET", REPO + "/check-runs/{check_run_id}", "checks/get", permission="checks:read")
async def get_run(call: Call) -> Reply:
    """One check run."""
    return Reply(200, issue_serializer.check_run(call.hub, _find_run(call)))


@route("PATCH", REPO + "/check-runs/{check_run_id}", "checks/update", permission="checks:write")
async def update_run(call: Call) -> Reply:
    """Update a check run of the App's own."""
    run = _find_run(call)
    if run.app is not _authenticated_app(call):
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
    run = _find_run(call)
    blob_url = f"{call.hub.url}/{call.repository.full_name}/blob/{run.head_sha}"
    return call.paginate(run.annotations, lambda annotation: _annotation_payload(annotation, blob_url))


@route("POST", REPO + "/check-runs/{check_run_id}/rerequest", "checks/rerequest-run", permission="checks:write")
async def rerequest_run(call: Call) -> Reply:
    """Ask the App that made it to run it again."""
    checks.rerequest_run(call.hub, _find_run(call), call.actor)
    return Reply(201, {})


@route("GET", REPO + "/commits/{ref:.+}/check-runs", "checks/list-for-ref", permission="checks:read")
async def list_runs(call: Call) -> Reply:
    """The check runs of a commit."""
    sha = await resolve_ref(call, call.params["ref"])
    return _run_page(call, [suite for suite in call.repository.check_suites.values() if suite.head_sha == sha])


@route("GET", REPO + "/commits/{ref:.+}/check-suites", "checks/list-suites-for-ref", permission="checks:read")
async def list_suites(call: Call) -> Reply:
    """The check suites of a commit."""
    sha = await resolve_ref(call, call.params["ref"])
    app_id, name = call.query.get("app_id"), call.query.get("check_name")
    suites = [
        suite
        for suite in call.repository.check_suites.values()
        if suite.head_sha == sha
        and app_id in (None, str(suite.app.id))
        and (name is None or name in [run.name for run in suite.runs])
    ]
    return call.paginate(suites, lambda suite: issue_serializer.check_suite(call.hub, suite), key="check_suites")


@route("POST", REPO + "/check-suites", "checks/create-suite", permission="checks:write")
async def create_suite(call: Call) -> Reply:
    """Create the App's suite on a commit: 201 when created, 200 when it existed."""
    sha, app = await resolve_ref(call, call.required("head_sha", str)), _authenticated_app(call)
    has_suite = any(suite.app is app and suite.head_sha == sha for suite in call.repository.check_suites.values())
    suite = checks.get_or_create_suite(call.hub, call.repository, app, sha)
    return Reply(200 if has_suite else 201, issue_serializer.check_suite(call.hub, suite))


@route("GET", REPO + "/check-suites/{check_suite_id}", "checks/get-suite", permission="checks:read")
async def get_suite(call: Call) -> Reply:
    """One check suite."""
    return Reply(200, issue_serializer.check_suite(call.hub, _find_suite(call)))


@route(
    "GET",
    REPO + "/check-suites/{check_suite_id}/check-runs",
    "checks/list-for-suite",
    permission="checks:read",
)
async def list_suite_runs(call: Call) -> Reply:
    """The check runs of a suite."""
    return _run_page(call, [_find_suite(call)])


@route(
    "POST",
    REPO + "/check-suites/{check_suite_id}/rerequest",
    "checks/rerequest-suite",
    permission="checks:write",
)
async def rerequest_suite(call: Call) -> Reply:
    """Ask the App to run the whole suite again."""
    checks.rerequest_suite(call.hub, _find_suite(call), call.actor)
    return Reply(201, {})


async def resolve_ref(call: Call, revision: str) -> str:
    """The commit that a branch, tag or SHA names. Raises ApiError 422 as GitHub does for an unknown one."""
    sha = await call.repository.git.resolve(revision.removeprefix("refs/"))
    if sha is None and "/" in revision:
        sha = await call.repository.git.resolve(revision.split("/", 1)[1])
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {revision}")
    return sha


def _authenticated_app(call: Call) -> App:
    if call.credential.kind not in ("installation", "run") or call.credential.app is None:
        raise (
            not_accessible()
            if call.credential.kind == "app"
            else ApiError(403, "You must authenticate via a GitHub App.")
        )
    return call.credential.app


def _find_run(call: Call) -> CheckRun:
    run_id = call.number("check_run_id")
    for suite in call.repository.check_suites.values():
        for run in suite.runs:
            if run.id == run_id:
                return run
    raise not_found()


def _find_suite(call: Call) -> CheckSuite:
    suite = call.repository.check_suites.get(call.number("check_suite_id"))
    if suite is None:
        raise not_found()
    return suite


def _run_page(call: Call, suites: list[CheckSuite]) -> Reply:
    query = call.query
    latest_only = query.get("filter", "latest") == "latest"
    runs = [run for suite in suites for run in (suite.latest_runs if latest_only else suite.runs)]
    runs = [
        run
        for run in runs
        if query.get("check_name") in (None, run.name)
        and query.get("status") in (None, run.status)
        and query.get("app_id") in (None, str(run.app.id))
    ]
    runs.sort(key=lambda run: run.id, reverse=True)
    return call.paginate(runs, lambda run: issue_serializer.check_run(call.hub, run), key="check_runs")


def _annotation_payload(annotation: dict[str, Any], blob_url: str) -> dict[str, Any]:
    return {
        "path": annotation["path"],
        "blob_href": f"{blob_url}/{annotation['path']}",
        "start_line": annotation["start_line"],
        "end_line": annotation["end_line"],
        "start_column": annotation.get("start_column"),
        "end_column": annotation.get("end_column"),
        "annotation_level": annotation["annotation_level"],
        "title": annotation.get("title"),
        "message": annotation["message"],
        "raw_details": annotation.get("raw_details"),
    }
