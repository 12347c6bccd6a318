"""What the bot wrote to GitHub, as a story reads it: one line for each write."""

from __future__ import annotations

import json
import re
from typing import Any

from sandbox import Sandbox
from sandbox.state.models import App
from sandbox.state.requests import RequestRecord

_IGNORED_OPERATIONS = ("apps/create-installation-access-token",)
_PATH = re.compile(r"/repos/[^/]+/[^/]+/(?:issues|pulls|git)?/?(.*)")


LENDER = "lender"  # the person whose token the operator gave to the bot


def writes_of(hub: Sandbox, app: App) -> list[RequestRecord]:
    """Every request of the App's installations, and of the person's token, that changes something, oldest first."""
    return [
        record
        for record in hub.requests
        if (
            record.actor == LENDER
            or (record.installation_id is not None and hub.installations[record.installation_id].app is app)
        )
        and record.method != "GET"
        and record.operation_id not in _IGNORED_OPERATIONS
        and not (record.operation_id == "graphql" and "mutation" not in _query(record))
    ]


def _query(record: RequestRecord) -> str:
    return str(record.body.get("query", "")) if isinstance(record.body, dict) else ""


def describe_request(hub: Sandbox, record: RequestRecord) -> list[str]:
    """What one request writes; what GitHub refused says so at its end."""
    refusal_suffix = f" (refused: {record.status})" if record.status and record.status >= 400 else ""
    if "mutation CreateLabels" in _query(record):
        lines = [f"label {variables['name']}" for variables in record.body["variables"].values()]
    else:
        is_batch = "mutation Together" in _query(record)
        lines = _describe_batch(hub, record) if is_batch else [_describe_call(hub, record)]
    return [line + refusal_suffix for line in lines]


def _describe_batch(hub: Sandbox, record: RequestRecord) -> list[str]:
    """Several things that went in one request, in order."""
    return [_describe_mutation(hub, mutation) for mutation in record.body["variables"].values()]


def _describe_mutation(hub: Sandbox, mutation: dict[str, Any]) -> str:
    repositories = hub.repositories.values()
    issues = {issue.node_id: issue.number for repository in repositories for issue in repository.issues.values()}
    if "labelIds" in mutation:
        names = {label.node_id: label.name for repository in repositories for label in repository.labels.values()}
        status_labels = [
            label_name
            for label_name in sorted(names[label_id] for label_id in mutation["labelIds"])
            if label_name.startswith("status:")
        ]
        return f"#{issues[mutation['id']]} labels {' '.join(status_labels)}"
    if "headSha" in mutation:
        return f"check {mutation['name']}: {mutation['conclusion'].lower()}"
    if "checkRunId" in mutation:
        return f"check updated: {mutation['conclusion'].lower()}"
    if "subjectId" in mutation:
        return f"#{issues[mutation['subjectId']]} card"
    comments = {
        comment.node_id: comment.issue.number for repository in repositories for comment in repository.comments()
    }
    return f"#{comments.get(mutation['id'], '?')} card edited"


def _describe_call(hub: Sandbox, record: RequestRecord) -> str:
    body: dict[str, Any] = record.body if isinstance(record.body, dict) else {}
    path_match = _PATH.match(record.path)
    location = path_match[1] if path_match else record.path
    number = location.split("/")[0]
    match record.operation_id:
        case "issues/set-labels":
            status_labels = [label_name for label_name in body["labels"] if label_name.startswith("status:")]
            return f"#{number} labels {' '.join(status_labels)}"
        case "issues/create-comment":
            kind = "card" if "orchestrator:card" in body["body"] else f"comment: {_headline(body['body'])}"
            return f"#{number} {kind}"
        case "issues/update-comment":
            return f"#{_commented_issue(hub, location)} card edited"
        case "reactions/create-for-issue-comment":
            return f"#{_commented_issue(hub, location)} reaction {body['content']}"
        case "repos/create-dispatch-event":
            payload = body["client_payload"]
            return f"dispatch {payload['branch']} to {payload['agent']}"
        case "actions/create-workflow-dispatch":
            return f"dispatch {body['inputs']['branch']} to {body['inputs']['agent']}"
        case "actions/cancel-workflow-run":
            return "run cancelled"
        case "checks/create":
            return f"check {body['name']}: {body.get('conclusion')}"
        case "checks/update":
            return f"check updated: {body.get('conclusion')}"
        case "issues/add-assignees" | "issues/remove-assignees":
            verb = "assigned to" if record.operation_id == "issues/add-assignees" else "taken from"
            return f"#{number} {verb} {', '.join(body['assignees'])}"
        case "graphql":
            return "marked ready" if "markPullRequestReadyForReview" in _query(record) else "graphql"
        case "pulls/merge":
            return f"merge #{number}"
        case "issues/update":
            return f"#{number} {json.dumps({k: body[k] for k in sorted(body)})}"
        case "issues/create-label":
            return f"label {body['name']}"
        case _:
            return f"{record.operation_id} {location}"


def _commented_issue(hub: Sandbox, location: str) -> int | str:
    """The number of the issue below which the comment stands; `where` is `comments/<id>`, and may go on."""
    comment_id = int(re.findall(r"\d+", location)[0])
    comments = (comment for repository in hub.repositories.values() for comment in repository.comments())
    return next((comment.issue.number for comment in comments if comment.id == comment_id), "?")


def _headline(text: str) -> str:
    return next(line for line in text.splitlines() if line.strip()).lstrip("# ")


# What the bot always writes, step by step; a story is made of these and of what is special about it.


def start_lines(task: int, agent: str, attempt: int = 1, *, card: str = "card edited") -> list[str]:
    """The task is handed to an agent."""
    return [f"dispatch task/{task}-{attempt} to {agent}", f"#{task} labels status:in-progress", f"#{task} {card}"]


def review_lines(task: int, *further_lines: str) -> list[str]:
    """Its pull request is open, merges cleanly, and waits for something; `more` is written before that is shown."""
    return ["check conflict-first: success", *further_lines, f"#{task} labels status:review", f"#{task} card edited"]


def merge_lines(task: int, pull: int) -> list[str]:
    """The pull request is merged, and the task is done."""
    return [f"merge #{pull}", f"#{task} labels status:done", f"#{task} card edited"]


def delivery_lines(task: int, pull: int, agent: str, attempt: int = 1, *, card: str = "card edited") -> list[str]:
    """The whole way from the queue to done; that it was in review is never shown, because it was over so quickly."""
    return [*start_lines(task, agent, attempt, card=card), "check conflict-first: success", *merge_lines(task, pull)]
