"""Create and update check suites and check runs. Only Apps make them; a suite completes with its runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sandbox.errors import ApiError, invalid_request
from sandbox.hub import Hub
from sandbox.serializers import issues as issue_serializer
from sandbox.state.models import App, CheckRun, CheckSuite, Repository, User

CONCLUSIONS = (
    "action_required",
    "cancelled",
    "failure",
    "neutral",
    "success",
    "skipped",
    "stale",
    "timed_out",
)
STATUSES = ("queued", "in_progress", "completed")
MAX_TEXT, MAX_ANNOTATIONS, MAX_ACTIONS = 65_535, 50, 3
# The conclusion of a suite: the first of these that one of its runs has.
_CONCLUSION_PRECEDENCE = (
    "failure",
    "timed_out",
    "action_required",
    "cancelled",
    "stale",
    "success",
    "neutral",
    "skipped",
)


def get_or_create_suite(
    hub: Hub,
    repository: Repository,
    app: App,
    sha: str,
    *,
    branch: str | None = None,
    before: str | None = None,
) -> CheckSuite:
    """The App's suite on a commit, created without a webhook when there is none."""
    for suite in repository.check_suites.values():
        if suite.app is app and suite.head_sha == sha:
            return suite
    if branch is None:
        branch = next((name for name in repository.git.branches() if repository.git.head(name) == sha), None)
    now = hub.now()
    suite = CheckSuite(
        id=hub.new_id(),
        repository=repository,
        app=app,
        head_sha=sha,
        head_branch=branch,
        before=before,
        after=sha,
        created_at=now,
        updated_at=now,
    )
    repository.check_suites[suite.id] = suite
    return suite


def request_suites(hub: Hub, repository: Repository, sha: str, branch: str, before: str | None, sender: User) -> None:
    """Create a suite for every installed App that may write checks, and send `requested` to those that subscribed."""
    for installation in hub.installations_on(repository):
        if installation.permissions.get("checks") == "write":
            suite = get_or_create_suite(hub, repository, installation.app, sha, branch=branch, before=before)
            if "check_suite" in installation.events and installation.suspended_at is None:
                hub.emit_to(
                    installation,
                    repository,
                    "check_suite",
                    "requested",
                    sender=sender,
                    check_suite=issue_serializer.check_suite(hub, suite, webhook=True),
                )


def create_run(hub: Hub, repository: Repository, app: App, sha: str, name: str, **fields: Any) -> CheckRun:
    """Create a check run; sends `check_run` created, and completed when it is. `fields` as for `update_run`."""
    if not name.strip():
        raise invalid_request('"name" wasn\'t supplied.')
    suite = get_or_create_suite(hub, repository, app, sha)
    run = CheckRun(id=hub.new_id(), suite=suite, name=name)
    _apply(hub, run, fields)
    suite.runs.append(run)
    _emit(hub, run, "created", app.bot)
    _update_suite(hub, run, app.bot, was_completed=False)
    return run


def update_run(hub: Hub, run: CheckRun, **fields: Any) -> None:
    """Update a check run: name, status, conclusion, output, details_url, external_id, actions, times.

    Setting a conclusion completes it. Annotations are added to those it has. Raises ApiError 422.
    """
    was_completed = run.status == "completed"
    _apply(hub, run, fields)
    _update_suite(hub, run, run.app.bot, was_completed=was_completed)


def request_action(hub: Hub, run: CheckRun, identifier: str, person: User) -> None:
    """Press a button of a check run; sends `requested_action` to the App that made the run, and to no other.

    Raises ValueError when the run is not completed or has no such button: GitHub would not show it.
    """
    if run.status != "completed":
        raise ValueError(f"the buttons of {run.name!r} show only when it is completed; it is {run.status}")
    if identifier not in [action["identifier"] for action in run.actions]:
        raise ValueError(f"{run.name!r} has no button {identifier!r}; it has {run.actions}")
    _emit_owner_event(hub, run, "requested_action", person, requested_action={"identifier": identifier})


def rerequest_run(hub: Hub, run: CheckRun, person: User) -> None:
    """Request a check run again; sends `rerequested` to the App that made it."""
    _emit_owner_event(hub, run, "rerequested", person)


def rerequest_suite(hub: Hub, suite: CheckSuite, person: User) -> None:
    """Request a suite again: resets its status and sends `check_suite` rerequested to its App."""
    suite.status, suite.conclusion, suite.updated_at = "queued", None, hub.now()
    installation = hub.installation_of(suite.app, suite.repository)
    if installation is not None:
        hub.emit_to(
            installation,
            suite.repository,
            "check_suite",
            "rerequested",
            sender=person,
            check_suite=issue_serializer.check_suite(hub, suite, webhook=True),
        )


def suite_state(runs: Sequence[CheckRun]) -> tuple[str, str | None]:
    """The status and conclusion of a suite by its latest runs."""
    if not runs or all(run.status == "queued" for run in runs):
        return "queued", None
    if any(run.status != "completed" for run in runs):
        return "in_progress", None
    conclusions = {run.conclusion for run in runs}
    return "completed", next(conclusion for conclusion in _CONCLUSION_PRECEDENCE if conclusion in conclusions)


def _apply(hub: Hub, run: CheckRun, fields: dict[str, Any]) -> None:
    status, conclusion = fields.get("status"), fields.get("conclusion")
    if status is not None and status not in STATUSES:
        raise invalid_request(f"For 'properties/status', {status!r} is not one of {', '.join(STATUSES)}.")
    if conclusion is not None and conclusion not in CONCLUSIONS:
        raise invalid_request(f"For 'properties/conclusion', {conclusion!r} is not one of {', '.join(CONCLUSIONS)}.")
    if status == "completed" and conclusion is None and run.conclusion is None:
        raise invalid_request('"conclusion" is required when "status" is "completed".')
    actions = fields.get("actions")
    if actions is not None:
        _check_actions(actions)
        run.actions = list(actions)
    if fields.get("output") is not None:
        _apply_output(run, fields["output"])
    if fields.get("name"):
        run.name = fields["name"]
    if fields.get("details_url") is not None:
        run.details_url = fields["details_url"]
    if fields.get("external_id") is not None:
        run.external_id = fields["external_id"]
    if conclusion is not None:
        status = "completed"
    if status is not None:
        run.status = status
        if status != "completed":
            run.conclusion = run.completed_at = None
    if conclusion is not None:
        run.conclusion = conclusion
    run.started_at = _parse_time(fields.get("started_at")) or run.started_at or hub.now()
    if run.status == "completed":
        run.completed_at = _parse_time(fields.get("completed_at")) or run.completed_at or hub.now()


def _apply_output(run: CheckRun, output: Any) -> None:
    if not isinstance(output, dict):
        raise invalid_request("For 'properties/output', it is not an object.")
    annotations = output.get("annotations") or []
    if len(annotations) > MAX_ANNOTATIONS:
        raise invalid_request(f"No more than {MAX_ANNOTATIONS} annotations are allowed in one request.")
    for name in ("summary", "text"):
        value = output.get(name)
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise invalid_request(f"Only {MAX_TEXT} characters are allowed in the {name}.")
    for annotation in annotations:
        missing = [
            key for key in ("path", "start_line", "end_line", "annotation_level", "message") if key not in annotation
        ]
        if missing:
            raise invalid_request(f'An annotation lacks "{missing[0]}".')
        if annotation["annotation_level"] not in ("notice", "warning", "failure"):
            raise invalid_request("An annotation_level is notice, warning or failure.")
    if output.get("summary") is None:
        raise invalid_request('"output.summary" wasn\'t supplied.')
    run.title = output.get("title", run.title)
    run.summary = output["summary"]
    run.text = output.get("text", run.text)
    run.annotations += annotations


def _check_actions(actions: Any) -> None:
    if not isinstance(actions, list) or len(actions) > MAX_ACTIONS:
        raise invalid_request(f"No more than {MAX_ACTIONS} actions are allowed.")
    for action in actions:
        for key, max_length in (("label", 20), ("description", 40), ("identifier", 20)):
            value = action.get(key)
            if not isinstance(value, str) or len(value) > max_length:
                raise invalid_request(f"An action's {key} is a text of at most {max_length} characters.")


def _parse_time(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise invalid_request(f"{value!r} is not a time such as 2026-03-02T09:00:00Z.") from error


def _update_suite(hub: Hub, run: CheckRun, actor: User, *, was_completed: bool) -> None:
    suite = run.suite
    previous_status = suite.status
    suite.status, suite.conclusion = suite_state(suite.latest_runs)
    suite.updated_at = hub.now()
    if run.status == "completed" and not was_completed:
        _emit(hub, run, "completed", actor)
    if suite.status == "completed" and (previous_status != "completed"):
        hub.emit(
            run.repository,
            "check_suite",
            "completed",
            sender=actor,
            check_suite=issue_serializer.check_suite(hub, suite, webhook=True),
        )


def _emit(hub: Hub, run: CheckRun, action: str, actor: User) -> None:
    hub.emit(run.repository, "check_run", action, sender=actor, check_run=issue_serializer.check_run(hub, run))


def _emit_owner_event(hub: Hub, run: CheckRun, action: str, person: User, **fields: Any) -> None:
    installation = hub.installation_of(run.app, run.repository)
    if installation is None:
        raise ApiError(404, "The App that made this check run is not installed here any more")
    hub.emit_to(
        installation,
        run.repository,
        "check_run",
        action,
        sender=person,
        check_run=issue_serializer.check_run(hub, run),
        **fields,
    )
