"""What the sandbox's GraphQL can write: labels of a repository and of an issue, comments, check runs.

Several fields of one mutation run one after the other, as on GitHub: one that fails is null, with an error of its own,
and the others are done all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.graphql.parser import GraphQLError
from sandbox.graphql.parts import Arguments, Resolver, attribute
from sandbox.services import checks, comments, labels
from sandbox.state.models import App, Comment, Issue, Repository, Role, User, role_at_least

if TYPE_CHECKING:
    from sandbox.graphql.execution import Execution


@dataclass(frozen=True, slots=True)
class MutationResult:
    """The answer to one of these mutations."""

    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class Edge:
    """A comment as the end of an edge."""

    node: Comment


def _given(arguments: Arguments) -> Mapping[str, Any]:
    sent = arguments.get("input")
    if not isinstance(sent, Mapping):
        raise GraphQLError("Argument 'input' has an invalid value", kind="argumentLiteralsIncompatible")
    return sent


def _writer(run: Execution, repository: Repository, permission: str, role: Role = "triage") -> tuple[User, App | None]:
    """Who writes, and by which App. Raises GraphQLError for who may not."""
    credential = run.credential
    user, app = credential.user, credential.app
    person = credential.kind == "user" and user is not None and role_at_least(repository.role_of(user), role)
    if user is None or not (person or (credential.has_access(repository) and credential.has_permission(permission))):
        raise GraphQLError("Resource not accessible by integration", kind="FORBIDDEN")
    return user, app


def _seen(run: Execution) -> list[Repository]:
    return [one for one in run.hub.repositories.values() if run.credential.can_see(one)]


def _issue(run: Execution, wanted: object) -> Issue:
    for repository in _seen(run):
        for issue in repository.issues.values():
            if wanted in (issue.node_id, issue.pull and issue.pull.node_id):
                return issue
    raise LookupError(f"Could not resolve to a node with the global id of '{wanted}'")


def _update_issue(run: Execution, _: Any, arguments: Arguments) -> MutationResult:
    sent = _given(arguments)
    issue = _issue(run, sent.get("id"))
    if unknown := set(sent) - {"id", "labelIds", "clientMutationId"}:
        raise GraphQLError(f"The sandbox's updateIssue knows labelIds only, not {', '.join(sorted(unknown))}")
    actor, app = _writer(run, issue.repository, "issues:write")
    if "labelIds" in sent:
        known = {label.node_id: label for label in issue.repository.labels.values()}
        for wanted in sent["labelIds"]:
            if wanted not in known:
                raise LookupError(f"Could not resolve to a node with the global id of '{wanted}'")
        labels.replace_labels(run.hub, issue, [known[wanted] for wanted in sent["labelIds"]], actor, app)
    return MutationResult("UpdateIssuePayload", issue)


def _create_label(run: Execution, _: Any, arguments: Arguments) -> MutationResult:
    sent = _given(arguments)
    if unknown := set(sent) - {"repositoryId", "name", "color", "description", "clientMutationId"}:
        raise GraphQLError(f"InputObject 'CreateLabelInput' doesn't accept argument '{min(unknown)}'")
    for required in ("repositoryId", "name", "color"):
        if not isinstance(sent.get(required), str):
            raise GraphQLError(
                f"Argument '{required}' on InputObject 'CreateLabelInput' is required. Expected type String!",
                kind="missingRequiredInputObjectAttribute",
            )
    repository = _repository(run, sent["repositoryId"])
    actor, _app = _writer(run, repository, "issues:write", "write")
    made = labels.create(run.hub, repository, actor, sent["name"], sent["color"], sent.get("description"))
    return MutationResult("CreateLabelPayload", made)


def _repository(run: Execution, wanted: object) -> Repository:
    found = next((one for one in _seen(run) if one.node_id == wanted), None)
    if found is None:
        raise LookupError(f"Could not resolve to a node with the global id of '{wanted}'")
    return found


def _add_comment(run: Execution, _: Any, arguments: Arguments) -> MutationResult:
    sent = _given(arguments)
    issue = _issue(run, sent.get("subjectId"))
    actor, app = _writer(run, issue.repository, "issues:write")
    made = comments.create(run.hub, issue, actor, str(sent.get("body", "")), via_app=app)
    return MutationResult("AddCommentPayload", Edge(made))


def _update_comment(run: Execution, _: Any, arguments: Arguments) -> MutationResult:
    sent = _given(arguments)
    there = (comment for repository in _seen(run) for comment in repository.comments())
    found = next((comment for comment in there if comment.node_id == sent.get("id")), None)
    if found is None:
        raise LookupError(f"Could not resolve to a node with the global id of '{sent.get('id')}'")
    actor, _app = _writer(run, found.issue.repository, "issues:write")
    comments.edit(run.hub, found, actor, str(sent.get("body", "")))
    return MutationResult("UpdateIssueCommentPayload", found)


def _checked(run: Execution, sent: Mapping[str, Any]) -> tuple[Repository, App]:
    """The repository, and the App that writes a check there."""
    repository = _repository(run, sent.get("repositoryId"))
    _, app = _writer(run, repository, "checks:write")
    if app is None:
        raise GraphQLError("Resource not accessible by personal access token", kind="FORBIDDEN")
    return repository, app


_OF_RUNS = {
    "status": "status",
    "conclusion": "conclusion",
    "externalId": "external_id",
    "output": "output",
    "actions": "actions",
}


def _fields(sent: Mapping[str, Any], *others: str) -> dict[str, Any]:
    """What is said of a check run, as REST has it."""
    if unknown := set(sent) - set(_OF_RUNS) - set(others):
        raise GraphQLError(f"The sandbox's check runs know no {', '.join(sorted(unknown))}")
    given = {_OF_RUNS[key]: value for key, value in sent.items() if key in _OF_RUNS and value is not None}
    if annotations := given.get("output", {}).get("annotations"):
        given["output"] = {**given["output"], "annotations": [_annotation(one) for one in annotations]}
    return given | {key: given[key].lower() for key in ("status", "conclusion") if key in given}


def _annotation(given: Mapping[str, Any]) -> dict[str, Any]:
    at = given["location"]
    told = {key: given[key] for key in ("path", "message", "title") if key in given}
    lines = {"start_line": at["startLine"], "end_line": at["endLine"]}
    return told | lines | {"annotation_level": given["annotationLevel"].lower()}


def _create_check_run(run: Execution, _: Any, arguments: Arguments) -> MutationResult:
    sent = _given(arguments)
    repository, app = _checked(run, sent)
    if sent["headSha"] not in {pull.head_sha for pull in repository.pulls()}:
        raise LookupError(f"No commit found for SHA: {sent['headSha']}")
    fields = _fields(sent, "repositoryId", "headSha", "name")
    made = checks.create_run(run.hub, repository, app, sent["headSha"], sent["name"], **fields)
    return MutationResult("CreateCheckRunPayload", made)


def _update_check_run(run: Execution, _: Any, arguments: Arguments) -> MutationResult:
    sent = _given(arguments)
    repository, app = _checked(run, sent)
    runs = (one for suite in repository.check_suites.values() for one in suite.runs)
    found = next((one for one in runs if one.node_id == sent.get("checkRunId") and one.app is app), None)
    if found is None:
        raise LookupError(f"Could not resolve to a node with the global id of '{sent.get('checkRunId')}'")
    checks.update_run(run.hub, found, **_fields(sent, "repositoryId", "checkRunId"))
    return MutationResult("UpdateCheckRunPayload", found)


KINDS: dict[type, str] = {Edge: "IssueCommentEdge"}
MUTATIONS: dict[str, Resolver] = {
    "createLabel": _create_label,
    "updateIssue": _update_issue,
    "addComment": _add_comment,
    "updateIssueComment": _update_comment,
    "createCheckRun": _create_check_run,
    "updateCheckRun": _update_check_run,
}
TYPES: dict[str, dict[str, Resolver]] = {
    "CreateLabelPayload": {"label": attribute("value")},
    "UpdateIssuePayload": {"issue": attribute("value")},
    "AddCommentPayload": {"commentEdge": attribute("value"), "subject": lambda _, value, __: value.value.node.issue},
    "UpdateIssueCommentPayload": {"issueComment": attribute("value")},
    "CreateCheckRunPayload": {"checkRun": attribute("value")},
    "UpdateCheckRunPayload": {"checkRun": attribute("value")},
    "IssueCommentEdge": {"node": attribute("node")},
}
