"""Resolve the timeline of an issue: labels, closing, reopening, new titles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.clock import timestamp
from sandbox.graphql.connections import Connection, paginate
from sandbox.graphql.context import Fields, Info
from sandbox.state.models import Issue, IssueEvent, Label

# By the name of each event in the REST API.
_TYPES: Mapping[str, str] = {
    "closed": "ClosedEvent",
    "labeled": "LabeledEvent",
    "renamed": "RenamedTitleEvent",
    "reopened": "ReopenedEvent",
    "unlabeled": "UnlabeledEvent",
}
# The values of GitHub's enum, as the REST API names the events.
ITEM_TYPES: Mapping[str, str] = {
    "CLOSED_EVENT": "closed",
    "LABELED_EVENT": "labeled",
    "RENAMED_TITLE_EVENT": "renamed",
    "REOPENED_EVENT": "reopened",
    "UNLABELED_EVENT": "unlabeled",
}


def type_of(event: IssueEvent) -> str:
    """Give GitHub's type of the event."""
    return _TYPES[event.event]


def items(
    issue: Issue, _: Info, since: str | None = None, item_types: Sequence[str] | None = None, **page: Any
) -> Connection:
    """The events of these types, oldest first."""
    names = set(item_types or _TYPES)
    events = [
        event
        for event in issue.events
        if event.event in names and (since is None or timestamp(event.created_at) >= since)
    ]
    return paginate(events, **page)


def _label(event: IssueEvent, _: Info) -> Label:
    repository, details = event.issue.repository, event.details["label"]
    # GitHub still shows a label that was deleted later.
    return repository.label(details["name"]) or Label(id=0, repository=repository, **details)


_EVENT: Fields = {"id": "node_id"}
FIELDS: Mapping[str, Fields] = {
    "ClosedEvent": {**_EVENT, "stateReason": lambda event, _: event.details.get("state_reason")},
    "LabeledEvent": {**_EVENT, "label": _label},
    "RenamedTitleEvent": {
        **_EVENT,
        "currentTitle": lambda event, _: event.details["rename"]["to"],
        "previousTitle": lambda event, _: event.details["rename"]["from"],
    },
    "ReopenedEvent": {**_EVENT, "stateReason": lambda *_: "reopened"},
    "UnlabeledEvent": {**_EVENT, "label": _label},
}
