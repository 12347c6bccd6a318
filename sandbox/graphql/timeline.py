"""The history of an issue, as the sandbox's GraphQL knows it: labels, closing, reopening, new titles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sandbox.clock import timestamp
from sandbox.graphql.parser import GraphQLError
from sandbox.graphql.parts import Arguments, Connection, Resolver, attribute, connected
from sandbox.state.models import Issue, IssueEvent, Label

if TYPE_CHECKING:
    from sandbox.graphql.execution import Execution

# GitHub's type of each event, by its name in the REST API; what GitHub has besides is not here.
_KINDS: Mapping[str, str] = {
    "labeled": "LabeledEvent",
    "unlabeled": "UnlabeledEvent",
    "closed": "ClosedEvent",
    "reopened": "ReopenedEvent",
    "renamed": "RenamedTitleEvent",
}
_ITEM_TYPES = {
    "LABELED_EVENT": "labeled",
    "UNLABELED_EVENT": "unlabeled",
    "CLOSED_EVENT": "closed",
    "REOPENED_EVENT": "reopened",
    "RENAMED_TITLE_EVENT": "renamed",
}


def kind_of(event: IssueEvent) -> str:
    """GitHub's type of the event."""
    return _KINDS[event.event]


def items(_: Execution, value: Issue, arguments: Arguments) -> Connection:
    """The events of the types that are asked for, oldest first."""
    asked = arguments.get("itemTypes")
    unknown = set(asked or ()) - set(_ITEM_TYPES)
    if unknown:
        raise GraphQLError(f"The sandbox does not know the item types {', '.join(sorted(unknown))}")
    wanted = {_ITEM_TYPES[one] for one in asked} if asked else set(_KINDS)
    since = arguments.get("since")
    found = [
        one
        for one in value.events
        if one.event in wanted and (since is None or timestamp(one.created_at) >= str(since))
    ]
    return connected("timelineItems", found, arguments)


def _label(_: Execution, value: IssueEvent, __: Arguments) -> Label:
    told = value.details["label"]
    there = value.issue.repository.label(told["name"])
    # GitHub goes on showing a label that was deleted since.
    return there or Label(id=0, repository=value.issue.repository, name=told["name"], color=told["color"])


def _reason(_: Execution, value: IssueEvent, __: Arguments) -> str | None:
    reason = value.details.get("state_reason")
    return reason.upper() if reason else None


_EVENT: dict[str, Resolver] = {
    "id": attribute("node_id"),
    "actor": attribute("actor"),
    "createdAt": lambda _, value, __: timestamp(value.created_at),
}
TYPES: dict[str, dict[str, Resolver]] = {
    "LabeledEvent": _EVENT | {"label": _label},
    "UnlabeledEvent": _EVENT | {"label": _label},
    "ClosedEvent": _EVENT | {"stateReason": _reason},
    "ReopenedEvent": _EVENT | {"stateReason": lambda *_: "REOPENED"},
    "RenamedTitleEvent": _EVENT,
}
