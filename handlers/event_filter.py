"""Filters deliveries that cannot change anything, by their payload alone.

Most deliveries are irrelevant: echoes of the bot's own writes, runs of other workflows, actions that no rule uses. They
are dropped before anything is stored or read.
"""

from __future__ import annotations

from typing import Any

from adapters.agents.actions import DISPATCHES, task_in_run_name
from engine.senders import Identity

# Of these events only some actions are relevant; of all others, every action is.
_RELEVANT_ACTIONS = {
    "check_run": frozenset({"requested_action"}),  # check suites report when runs begin and end
    "check_suite": frozenset({"completed"}),
    "issue_comment": frozenset({"created", "edited"}),
    "issues": frozenset({"opened", "edited", "labeled", "unlabeled", "closed", "reopened", "transferred", "deleted"}),
    "pull_request": frozenset(
        {
            *("opened", "edited", "reopened", "synchronize", "closed"),
            *("ready_for_review", "converted_to_draft", "review_requested"),
        }
    ),
    "pull_request_review": frozenset({"submitted", "dismissed"}),
}

ECHOED_EVENTS = frozenset({"check_suite", "issue_comment", "issues"})  # the events that the bot's own writes cause


def may_be_relevant(event: str, action: str | None) -> bool:
    """Whether an event with this action can be relevant at all, whatever its payload says."""
    return event not in _RELEVANT_ACTIONS or action in _RELEVANT_ACTIONS[event]


def is_relevant(event: str, payload: dict[str, Any], identity: Identity | None) -> bool:
    """Whether a handler should process a delivery. `identity` is None while the bot's own identity is unknown.

    A payload of unexpected shape counts as relevant: the handler reports what is wrong.
    """
    if not may_be_relevant(event, str(payload.get("action"))):
        return False
    match event:
        case "status":
            return payload.get("state") != "pending"
        case "workflow_run":
            # The check suites report the runs of CI.
            run = _section(payload, "workflow_run")
            return str(run.get("event")) in DISPATCHES and task_in_run_name(str(run.get("display_title"))) is not None
        case "check_suite":
            return identity is None or _section(_section(payload, "check_suite"), "app").get("id") != identity.app_id
        case "issue_comment":
            return not _is_sent_by(identity, payload)
        case "issues":
            # The echo of a label would cost a read, and a person's edit that the read finds would be attributed to the
            # bot.
            return payload["action"] not in ("labeled", "unlabeled") or not _is_sent_by(identity, payload)
    return True


def _is_sent_by(identity: Identity | None, payload: dict[str, Any]) -> bool:
    return identity is not None and _section(payload, "sender").get("id") == identity.bot_id


def _section(payload: dict[str, Any], key: str) -> dict[str, Any]:
    section = payload.get(key)
    return section if isinstance(section, dict) else {}
