"""Resolve mutations: labels of a repository and of an issue, comments, check runs, drafts.

The payloads are mappings by GitHub's names, which graphql-core resolves itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.graphql import repositories
from sandbox.graphql.context import Execution, FieldError, Fields, Info, Resolver, node_not_found
from sandbox.services import checks, comments, labels, pulls
from sandbox.state.models import App, Issue, PullRequest, Repository

Input = Mapping[str, Any]  # by names in snake case, as REST has them
Payload = dict[str, Any]
_CHECK_FIELDS = ("status", "conclusion", "external_id", "output", "actions")


def _repository(execution: Execution, node_id: str) -> Repository:
    repository = next((repo for repo in execution.repositories if repo.node_id == node_id), None)
    if repository is None:
        raise node_not_found(node_id)
    return repository


def _issue(info: Info, node_id: str) -> Issue:
    """The issue, or the pull request as an issue."""
    subject = repositories.node(None, info, node_id)
    if isinstance(subject, PullRequest):
        return subject.issue
    if not isinstance(subject, Issue):
        raise node_not_found(node_id)
    return subject


def _update_issue(info: Info, sent: Input) -> Payload:
    issue = _issue(info, sent["id"])
    if issue.pull is not None:
        raise FieldError("NOT_FOUND", f"Could not resolve to Issue node with the global id of '{sent['id']}'")
    actor, app = info.context.require_write(issue.repository, "issues:write")
    if sent.get("label_ids") is not None:
        by_id = {label.node_id: label for label in issue.repository.labels.values()}
        for label_id in sent["label_ids"]:
            if label_id not in by_id:
                raise node_not_found(label_id)
        labels.replace_labels(info.context.hub, issue, [by_id[label_id] for label_id in sent["label_ids"]], actor, app)
    return {"issue": issue}


def _create_label(info: Info, sent: Input) -> Payload:
    repository = _repository(info.context, sent["repository_id"])
    actor, _ = info.context.require_write(repository, "issues:write", "write")
    label = labels.create(info.context.hub, repository, actor, sent["name"], sent["color"], sent.get("description"))
    return {"label": label}


def _add_comment(info: Info, sent: Input) -> Payload:
    issue = _issue(info, sent["subject_id"])
    actor, app = info.context.require_write(issue.repository, "issues:write")
    comment = comments.create(info.context.hub, issue, actor, sent["body"], via_app=app)
    return {"commentEdge": {"node": comment}, "subject": issue.pull or issue}


def _update_comment(info: Info, sent: Input) -> Payload:
    candidates = (comment for repository in info.context.repositories for comment in repository.comments())
    comment = next((comment for comment in candidates if comment.node_id == sent["id"]), None)
    if comment is None:
        raise node_not_found(sent["id"])
    actor, _ = info.context.require_write(comment.issue.repository, "issues:write")
    comments.edit(info.context.hub, comment, actor, sent["body"])
    return {"issueComment": comment}


def _check_repository(info: Info, sent: Input) -> tuple[Repository, App]:
    """The repository of a check run, and the App that writes it."""
    repository = _repository(info.context, sent["repository_id"])
    _, app = info.context.require_write(repository, "checks:write")
    if app is None:
        raise FieldError("FORBIDDEN", "Resource not accessible by personal access token")
    return repository, app


def _check_fields(sent: Input) -> dict[str, Any]:
    """The fields of a check run, as REST has them."""
    fields = {name: sent[name] for name in _CHECK_FIELDS if sent.get(name) is not None}
    if annotations := fields.get("output", {}).get("annotations"):
        fields["output"] = {**fields["output"], "annotations": [_annotation(data) for data in annotations]}
    return fields


def _annotation(data: Input) -> dict[str, Any]:
    return {**{name: value for name, value in data.items() if name != "location"}, **data["location"]}


def _create_check_run(info: Info, sent: Input) -> Payload:
    repository, app = _check_repository(info, sent)
    if sent["head_sha"] not in {pull.head_sha for pull in repository.pulls()}:
        raise FieldError("NOT_FOUND", f"No commit found for SHA: {sent['head_sha']}")
    fields = _check_fields(sent)
    return {"checkRun": checks.create_run(info.context.hub, repository, app, sent["head_sha"], sent["name"], **fields)}


def _update_check_run(info: Info, sent: Input) -> Payload:
    repository, app = _check_repository(info, sent)
    runs = (run for suite in repository.check_suites.values() for run in suite.runs)
    check_run = next((run for run in runs if run.node_id == sent["check_run_id"] and run.app is app), None)
    if check_run is None:
        raise node_not_found(sent["check_run_id"])
    checks.update_run(info.context.hub, check_run, **_check_fields(sent))
    return {"checkRun": check_run}


def _mark_ready(info: Info, sent: Input) -> Payload:
    pull = repositories.node(None, info, sent["pull_request_id"])
    if not isinstance(pull, PullRequest):
        raise node_not_found(sent["pull_request_id"])
    actor, _ = info.context.require_write(pull.repository, "pull_requests:write", "write")
    pulls.set_draft(info.context.hub, pull, actor, draft=False)
    return {"pullRequest": pull}


def _mutation(perform: Callable[[Info, Input], Payload]) -> Resolver:
    def resolve(_: Any, info: Info, input: Input) -> Payload:  # noqa: A002 - GitHub's own name
        return {"clientMutationId": input.get("client_mutation_id"), **perform(info, input)}

    return resolve


FIELDS: Mapping[str, Fields] = {
    "Mutation": {
        "addComment": _mutation(_add_comment),
        "createCheckRun": _mutation(_create_check_run),
        "createLabel": _mutation(_create_label),
        "markPullRequestReadyForReview": _mutation(_mark_ready),
        "updateCheckRun": _mutation(_update_check_run),
        "updateIssue": _mutation(_update_issue),
        "updateIssueComment": _mutation(_update_comment),
    }
}
