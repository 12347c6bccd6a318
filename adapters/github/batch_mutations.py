"""Several writes about one issue in one request.

REST takes a request for each: labels, a comment, a check. GraphQL runs the fields of one mutation one after the other,
and GitHub counts requests. One that fails does not undo the others, so whoever sends must be able to send them again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from adapters.github.base_client import Caller, repository_parts
from adapters.github.errors import GraphQLError, NotFound, UnexpectedAnswer
from core.commands.buttons import Button
from core.effects.base import Annotation

MOST: Final = 100  # labels of an issue, and of its first comments, that one look finds


@dataclass(frozen=True, slots=True)
class Place:
    """An issue as GraphQL knows it: the ids by which it is written to."""

    repository: str
    issue: str
    there: Mapping[str, str]  # the labels on the issue: name → id
    known: Mapping[str, str]  # those that were asked for and that the repository has: name → id
    comments: Mapping[int, str]  # its first comments: the id that REST knows → the one that GraphQL knows


@dataclass(frozen=True, slots=True)
class Piece:
    """One write: the field of the mutation, the type of its input, the input, and what is asked of the answer."""

    field: str
    kind: str
    given: Mapping[str, Any]
    answer: str


def labels_set(issue: str, labels: Collection[str]) -> Piece:
    """These are the labels of the issue, and no others; all by their ids."""
    return Piece("updateIssue", "UpdateIssueInput", {"id": issue, "labelIds": sorted(labels)}, "issue { id }")


def comment_edited(comment: str, body: str) -> Piece:
    """The comment has this text."""
    return Piece(
        "updateIssueComment",
        "UpdateIssueCommentInput",
        {"id": comment, "body": body},
        "issueComment { fullDatabaseId }",
    )


def comment_made(issue: str, body: str) -> Piece:
    """A new comment."""
    answer = "commentEdge { node { fullDatabaseId } }"
    return Piece("addComment", "AddCommentInput", {"subjectId": issue, "body": body}, answer)


@dataclass(frozen=True, slots=True)
class Check:
    """What a completed check run says."""

    conclusion: str
    title: str
    summary: str
    remarks: Sequence[Annotation] = ()
    buttons: Sequence[Button] = ()

    @property
    def given(self) -> dict[str, Any]:
        """As GraphQL takes it."""
        remarks = [
            {
                "path": one.path,
                "location": {"startLine": one.start_line, "endLine": one.end_line},
                "annotationLevel": one.level.upper(),
                "message": one.message,
            }
            | ({"title": one.title} if one.title else {})
            for one in self.remarks
        ]
        output = {"title": self.title, "summary": self.summary} | ({"annotations": remarks} if remarks else {})
        buttons = [asdict(button) for button in self.buttons]  # none, too: those that it had must not stay on it
        return {"status": "COMPLETED", "conclusion": self.conclusion.upper(), "output": output, "actions": buttons}


def check_made(repository: str, check: Check, *, name: str, sha: str, external_id: str) -> Piece:
    """A new check run."""
    given = {"repositoryId": repository, "headSha": sha, "name": name, "externalId": external_id, **check.given}
    return Piece("createCheckRun", "CreateCheckRunInput", given, "checkRun { id }")


def check_changed(repository: str, run: str, check: Check) -> Piece:
    """The check run says this; the remarks that it has stay."""
    given = {"repositoryId": repository, "checkRunId": run, **check.given}
    return Piece("updateCheckRun", "UpdateCheckRunInput", given, "checkRun { id }")


class TogetherOperations(Caller):
    """Writing several things about one issue at once."""

    async def place(self, repo: str, number: int, labels: Sequence[str]) -> Place | None:
        """Look at an issue, for writing to it. None where it has more labels than one look finds.

        Raises NotFound where there is no such issue, or it is a pull request.
        """
        parts = repository_parts(repo)
        asked = {f"l{index}": label for index, label in enumerate(labels)}
        head = "".join(f", ${alias}: String!" for alias in asked)
        named = " ".join(f"{alias}: label(name: ${alias}) {{ id }}" for alias in asked)
        query = (
            f"query Place($owner: String!, $name: String!, $number: Int!{head}) {{"
            f" repository(owner: $owner, name: $name) {{ id {named} issue(number: $number) {{ id"
            f" labels(first: {MOST}) {{ totalCount nodes {{ id name }} }}"
            f" comments(first: {MOST}) {{ nodes {{ id fullDatabaseId }} }} }} }} }}"
        )
        variables = {"owner": parts["owner"], "name": parts["repo"], "number": number, **asked}
        data = await self._transport.graphql(query, variables, self._credential)
        told: Any = data.get("repository")
        if not told or not told.get("issue"):
            raise NotFound(f"there is no issue #{number} in {repo} for us", operation="graphql")
        try:
            issue = told["issue"]
            there = {one["name"]: one["id"] for one in issue["labels"]["nodes"]}
            if issue["labels"]["totalCount"] > len(there):
                return None
            return Place(
                repository=told["id"],
                issue=issue["id"],
                there=there,
                known={label: told[alias]["id"] for alias, label in asked.items() if told.get(alias)},
                comments={int(one["fullDatabaseId"]): one["id"] for one in issue["comments"]["nodes"]},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UnexpectedAnswer(f"the answer is no issue: {error}", operation="graphql") from error

    async def write_together(self, pieces: Sequence[Piece]) -> list[Any]:
        """Write all of it; gives the answer to each piece. Raises GraphQLError where some of it failed."""
        head = ", ".join(f"$w{index}: {piece.kind}!" for index, piece in enumerate(pieces))
        fields = " ".join(
            f"w{index}: {piece.field}(input: $w{index}) {{ {piece.answer} }}" for index, piece in enumerate(pieces)
        )
        given = {f"w{index}": dict(piece.given) for index, piece in enumerate(pieces)}
        data = await self._transport.graphql(f"mutation Together({head}) {{ {fields} }}", given, self._credential)
        answers = [data.get(f"w{index}") for index in range(len(pieces))]
        if not all(answers):
            raise GraphQLError(("some of it was not answered",), data)
        return answers
