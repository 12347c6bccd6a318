"""What the bot wrote to GitHub, as a story reads it: one line for each write."""

from __future__ import annotations

import json
import re
from typing import Any

from sandbox import Sandbox
from sandbox.http.pipeline import RequestRecord
from sandbox.state.models import App

_NOT_A_WRITE = ("apps/create-installation-access-token",)
_PATH = re.compile(r"/repos/[^/]+/[^/]+/(?:issues|pulls|git)?/?(.*)")


LENDER = "lender"  # the person whose token the operator gave to the bot


def writes_of(hub: Sandbox, app: App) -> list[RequestRecord]:
    """Every request of the App's installations, and of the person's token, that changes something, oldest first."""
    return [
        r
        for r in hub.requests
        if (r.actor == LENDER or (r.installation_id is not None and hub.installations[r.installation_id].app is app))
        and r.method != "GET"
        and r.operation_id not in _NOT_A_WRITE
        and not (r.operation_id == "graphql" and "mutation" not in _query(r))
    ]


def _query(record: RequestRecord) -> str:
    return str(record.body.get("query", "")) if isinstance(record.body, dict) else ""


def told(hub: Sandbox, record: RequestRecord) -> list[str]:
    """What one request writes; what GitHub refused says so at its end."""
    refused = f" (refused: {record.status})" if record.status and record.status >= 400 else ""
    if "mutation CreateLabels" in _query(record):
        lines = [f"label {one['name']}" for one in record.body["variables"].values()]
    else:
        together = "mutation Together" in _query(record)
        lines = _together(hub, record) if together else [_told(hub, record)]
    return [line + refused for line in lines]


def _together(hub: Sandbox, record: RequestRecord) -> list[str]:
    """Several things that went in one request, in order."""
    return [_piece(hub, piece) for piece in record.body["variables"].values()]


def _piece(hub: Sandbox, piece: dict[str, Any]) -> str:
    shops = hub.repositories.values()
    issues = {issue.node_id: issue.number for shop in shops for issue in shop.issues.values()}
    if "labelIds" in piece:
        names = {label.node_id: label.name for shop in shops for label in shop.labels.values()}
        status = [n for n in sorted(names[one] for one in piece["labelIds"]) if n.startswith("status:")]
        return f"#{issues[piece['id']]} labels {' '.join(status)}"
    if "headSha" in piece:
        return f"check {piece['name']}: {piece['conclusion'].lower()}"
    if "checkRunId" in piece:
        return f"check updated: {piece['conclusion'].lower()}"
    if "subjectId" in piece:
        return f"#{issues[piece['subjectId']]} card"
    comments = {comment.node_id: comment.issue.number for shop in shops for comment in shop.comments()}
    return f"#{comments.get(piece['id'], '?')} card edited"


def _told(hub: Sandbox, record: RequestRecord) -> str:
    sent: dict[str, Any] = record.body if isinstance(record.body, dict) else {}
    what = _PATH.match(record.path)
    where = what[1] if what else record.path
    number = where.split("/")[0]
    match record.operation_id:
        case "issues/set-labels":
            status = [n for n in sent["labels"] if n.startswith("status:")]
            return f"#{number} labels {' '.join(status)}"
        case "issues/create-comment":
            kind = "card" if "orchestrator:card" in sent["body"] else f"comment: {_headline(sent['body'])}"
            return f"#{number} {kind}"
        case "issues/update-comment":
            return f"#{_commented(hub, where)} card edited"
        case "reactions/create-for-issue-comment":
            return f"#{_commented(hub, where)} reaction {sent['content']}"
        case "repos/create-dispatch-event":
            payload = sent["client_payload"]
            return f"dispatch {payload['branch']} to {payload['agent']}"
        case "actions/create-workflow-dispatch":
            return f"dispatch {sent['inputs']['branch']} to {sent['inputs']['agent']}"
        case "actions/cancel-workflow-run":
            return "run cancelled"
        case "checks/create":
            return f"check {sent['name']}: {sent.get('conclusion')}"
        case "checks/update":
            return f"check updated: {sent.get('conclusion')}"
        case "issues/add-assignees" | "issues/remove-assignees":
            verb = "assigned to" if record.operation_id == "issues/add-assignees" else "taken from"
            return f"#{number} {verb} {', '.join(sent['assignees'])}"
        case "graphql":
            return "marked ready" if "markPullRequestReadyForReview" in _query(record) else "graphql"
        case "pulls/merge":
            return f"merge #{number}"
        case "issues/update":
            return f"#{number} {json.dumps({k: sent[k] for k in sorted(sent)})}"
        case "issues/create-label":
            return f"label {sent['name']}"
        case _:
            return f"{record.operation_id} {where}"


def _commented(hub: Sandbox, where: str) -> int | str:
    """The number of the issue below which the comment stands; `where` is `comments/<id>`, and may go on."""
    comment_id = int(re.findall(r"\d+", where)[0])
    there = (comment for repository in hub.repositories.values() for comment in repository.comments())
    return next((comment.issue.number for comment in there if comment.id == comment_id), "?")


def _headline(text: str) -> str:
    return next(line for line in text.splitlines() if line.strip()).lstrip("# ")


# What the bot always writes, step by step; a story is made of these and of what is special about it.


def started(task: int, agent: str, attempt: int = 1, *, card: str = "card edited") -> list[str]:
    """The task is handed to an agent."""
    return [f"dispatch task/{task}-{attempt} to {agent}", f"#{task} labels status:in-progress", f"#{task} {card}"]


def handed_in(task: int, *more: str) -> list[str]:
    """Its pull request is open, merges cleanly, and waits for something; `more` is written before that is shown."""
    return ["check conflict-first: success", *more, f"#{task} labels status:review", f"#{task} card edited"]


def merged(task: int, pull: int) -> list[str]:
    """The pull request is merged, and the task is done."""
    return [f"merge #{pull}", f"#{task} labels status:done", f"#{task} card edited"]


def delivered(task: int, pull: int, agent: str, attempt: int = 1, *, card: str = "card edited") -> list[str]:
    """The whole way from the queue to done; that it was in review is never shown, because it was over so quickly."""
    return [*started(task, agent, attempt, card=card), "check conflict-first: success", *merged(task, pull)]
