"""Sends several writes about one issue in one request.

REST takes a request for each: labels, a comment, a check. GraphQL runs the fields of one mutation one after the other,
and GitHub counts requests. One that fails does not undo the others, so the sender must be able to send them again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from adapters.github.base_client import BaseClient, repository_parts
from adapters.github.errors import GraphQLError, NotFound, UnexpectedResponse
from core.commands.buttons import Button
from core.effects.base import Annotation

MAX_NODES: Final = 100  # labels of an issue, and of its first comments, that one look finds


@dataclass(frozen=True, slots=True)
class NodeId:
    """An issue as GraphQL knows it: the ids by which it is written to."""

    repository: str
    issue: str
    issue_labels: Mapping[str, str]  # the labels on the issue: name → id
    repository_labels: Mapping[str, str]  # those that were asked for and that the repository has: name → id
    comments: Mapping[int, str]  # its first comments: the id that REST knows → the one that GraphQL knows


@dataclass(frozen=True, slots=True)
class Mutation:
    """One write: the field of the mutation, the type of its input, the input, and what is asked of the answer."""

    field: str
    input_type: str
    values: Mapping[str, Any]
    selection: str


def set_labels(issue: str, labels: Collection[str]) -> Mutation:
    """These are the labels of the issue, and no others; all by their ids."""
    return Mutation("updateIssue", "UpdateIssueInput", {"id": issue, "labelIds": sorted(labels)}, "issue { id }")


def edit_comment(comment: str, body: str) -> Mutation:
    """The comment has this text."""
    return Mutation(
        "updateIssueComment",
        "UpdateIssueCommentInput",
        {"id": comment, "body": body},
        "issueComment { fullDatabaseId }",
    )


def create_comment(issue: str, body: str) -> Mutation:
    """A new comment."""
    selection = "commentEdge { node { fullDatabaseId } }"
    return Mutation("addComment", "AddCommentInput", {"subjectId": issue, "body": body}, selection)


@dataclass(frozen=True, slots=True)
class CheckContent:
    """What a completed check run says."""

    conclusion: str
    title: str
    summary: str
    annotations: Sequence[Annotation] = ()
    buttons: Sequence[Button] = ()

    @property
    def input_fields(self) -> dict[str, Any]:
        """As GraphQL takes it."""
        annotation_list = [
            {
                "path": annotation.path,
                "location": {"startLine": annotation.start_line, "endLine": annotation.end_line},
                "annotationLevel": annotation.level.upper(),
                "message": annotation.message,
            }
            | ({"title": annotation.title} if annotation.title else {})
            for annotation in self.annotations
        ]
        output = {"title": self.title, "summary": self.summary} | (
            {"annotations": annotation_list} if annotation_list else {}
        )
        buttons = [asdict(button) for button in self.buttons]  # none, too: those that it had must not stay on it
        return {"status": "COMPLETED", "conclusion": self.conclusion.upper(), "output": output, "actions": buttons}


def create_check_run(repository: str, check: CheckContent, *, name: str, sha: str, external_id: str) -> Mutation:
    """A new check run."""
    values = {"repositoryId": repository, "headSha": sha, "name": name, "externalId": external_id, **check.input_fields}
    return Mutation("createCheckRun", "CreateCheckRunInput", values, "checkRun { id }")


def update_check_run(repository: str, run_id: str, check: CheckContent) -> Mutation:
    """The check run says this; the remarks that it has stay."""
    values = {"repositoryId": repository, "checkRunId": run_id, **check.input_fields}
    return Mutation("updateCheckRun", "UpdateCheckRunInput", values, "checkRun { id }")


class BatchOperations(BaseClient):
    """Writing several things about one issue at once."""

    async def get_node_ids(self, repo: str, number: int, labels: Sequence[str]) -> NodeId | None:
        """Look at an issue, for writing to it. None if it has more labels than one look finds.

        Raises NotFound if there is no such issue, or it is a pull request.
        """
        parts = repository_parts(repo)
        aliases = {f"l{index}": label for index, label in enumerate(labels)}
        variable_types = "".join(f", ${alias}: String!" for alias in aliases)
        label_fields = " ".join(f"{alias}: label(name: ${alias}) {{ id }}" for alias in aliases)
        query = (
            f"query Place($owner: String!, $name: String!, $number: Int!{variable_types}) {{"
            f" repository(owner: $owner, name: $name) {{ id {label_fields} issue(number: $number) {{ id"
            f" labels(first: {MAX_NODES}) {{ totalCount nodes {{ id name }} }}"
            f" comments(first: {MAX_NODES}) {{ nodes {{ id fullDatabaseId }} }} }} }} }}"
        )
        variables = {"owner": parts["owner"], "name": parts["repo"], "number": number, **aliases}
        data = await self._transport.graphql(query, variables, self._credential)
        repository: Any = data.get("repository")
        if not repository or not repository.get("issue"):
            raise NotFound(f"there is no issue #{number} in {repo} for us", operation="graphql")
        try:
            issue = repository["issue"]
            label_ids = {node["name"]: node["id"] for node in issue["labels"]["nodes"]}
            if issue["labels"]["totalCount"] > len(label_ids):
                return None
            return NodeId(
                repository=repository["id"],
                issue=issue["id"],
                issue_labels=label_ids,
                repository_labels={
                    label: repository[alias]["id"] for alias, label in aliases.items() if repository.get(alias)
                },
                comments={int(node["fullDatabaseId"]): node["id"] for node in issue["comments"]["nodes"]},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UnexpectedResponse(f"the answer is no issue: {error}", operation="graphql") from error

    async def send_batch(self, mutations: Sequence[Mutation]) -> list[Any]:
        """Write all of it; returns the answer to each piece. Raises GraphQLError if some of it failed."""
        variable_types = ", ".join(f"$w{index}: {mutation.input_type}!" for index, mutation in enumerate(mutations))
        fields = " ".join(
            f"w{index}: {mutation.field}(input: $w{index}) {{ {mutation.selection} }}"
            for index, mutation in enumerate(mutations)
        )
        inputs = {f"w{index}": dict(mutation.values) for index, mutation in enumerate(mutations)}
        data = await self._transport.graphql(
            f"mutation Together({variable_types}) {{ {fields} }}", inputs, self._credential
        )
        results = [data.get(f"w{index}") for index in range(len(mutations))]
        if not all(results):
            raise GraphQLError(("some of it was not answered",), data)
        return results
