"""Labels of a repository and of an issue."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from adapters.github.base_client import Caller, given, parse, repository_parts
from adapters.github.errors import GraphQLError, Invalid, NotFound, Unclear
from adapters.github.models import Label
from adapters.github.operation import operation
from config.labels import Label as OurLabel

_LABELS: Final = "/repos/{owner}/{repo}/labels"
MAX_DESCRIPTION: Final = 100
_ON_ISSUE: Final = "/repos/{owner}/{repo}/issues/{issue_number}/labels"

LIST: Final = operation("issues/list-labels-for-repo", "GET", _LABELS, permission=("issues", "read"), query="per_page")
GET: Final = operation("issues/get-label", "GET", _LABELS + "/{name}", permission=("issues", "read"))
CREATE: Final = operation(
    "issues/create-label", "POST", _LABELS, permission=("issues", "write"), body="name color description"
)
UPDATE: Final = operation(
    "issues/update-label",
    "PATCH",
    _LABELS + "/{name}",
    permission=("issues", "write"),
    body="new_name color description",
)
LIST_ON_ISSUE: Final = operation(
    "issues/list-labels-on-issue", "GET", _ON_ISSUE, permission=("issues", "read"), query="per_page"
)
SET: Final = operation("issues/set-labels", "PUT", _ON_ISSUE, permission=("issues", "write"), body="labels")


class LabelOperations(Caller):
    """Labels. `color` is six hex digits without `#`."""

    async def list_repo_labels(self, repo: str) -> list[Label]:
        """List the labels that the repository knows."""
        return await self._all(LIST, Label, repository_parts(repo))

    async def get_label(self, repo: str, name: str) -> Label:
        """Give one label of the repository; NotFound when it has none of this name."""
        return await self._one(GET, Label, {**repository_parts(repo), "name": name})

    async def create_label(self, repo: str, name: str, *, color: str, description: str = "") -> Label:
        """Make a label; Invalid with `already_exists` when there is one (names differ by more than case)."""
        body = {"name": name, "color": color, "description": description}
        return await self._one(CREATE, Label, repository_parts(repo), body=body)

    async def ensure_labels(self, repo: str, labels: Sequence[OurLabel]) -> None:
        """Make those of the labels that the repository lacks; those that it has stay as they are."""
        there = {label.name.casefold() for label in await self.list_repo_labels(repo)}
        missing = [label for label in labels if label.name.casefold() not in there]
        if not missing:
            return
        try:
            await self.create_labels(await self._repository_node(repo), missing)
        except GraphQLError:
            for label in missing:  # a server whose GraphQL cannot make labels
                with contextlib.suppress(Invalid):  # someone made it meanwhile
                    await self.create_label(repo, label.name, color=label.colour, description=_short(label))

    async def _repository_node(self, repo: str) -> str:
        parts = repository_parts(repo)
        query = "query Node($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { id } }"
        variables = {"owner": parts["owner"], "name": parts["repo"]}
        found: Any = (await self._transport.graphql(query, variables, self._credential)).get("repository")
        if not found:
            raise NotFound(f"there is no repository {repo} for us", operation="graphql")
        return str(found["id"])

    async def create_labels(self, repository: str, labels: Sequence[OurLabel]) -> dict[str, str]:
        """Make labels in one request; `repository` is its id in GraphQL. Gives the ids of those made, by name.

        One that is there already, or that GitHub refuses, is left out and does not stop the others. Raises GraphQLError
        where the server cannot do this at all.
        """
        head = ", ".join(f"$w{index}: CreateLabelInput!" for index in range(len(labels)))
        fields = " ".join(
            f"w{index}: createLabel(input: $w{index}) {{ label {{ id }} }}" for index in range(len(labels))
        )
        inputs = {
            f"w{index}": {
                "repositoryId": repository,
                "name": label.name,
                "color": label.colour,
                "description": _short(label),
            }
            for index, label in enumerate(labels)
        }
        mutation = f"mutation CreateLabels({head}) {{ {fields} }}"
        answers: Any
        try:
            answers = await self._transport.graphql(mutation, inputs, self._credential, content=False)
        except Invalid:
            return {}
        except GraphQLError as error:
            if not isinstance(error.data, Mapping) or not error.data:
                raise
            answers = error.data
        made = {label.name: answers.get(f"w{index}") for index, label in enumerate(labels)}
        return {name: str(answer["label"]["id"]) for name, answer in made.items() if answer}

    async def update_label(
        self,
        repo: str,
        name: str,
        *,
        new_name: str | None = None,
        color: str | None = None,
        description: str | None = None,
    ) -> Label:
        """Change what is given of a label, leave the rest."""
        body = given(new_name=new_name, color=color, description=description)
        return await self._one(UPDATE, Label, {**repository_parts(repo), "name": name}, body=body)

    async def list_issue_labels(self, repo: str, number: int) -> list[Label]:
        """List the labels of an issue."""
        return await self._all(LIST_ON_ISSUE, Label, {**repository_parts(repo), "issue_number": number})

    async def set_issue_labels(self, repo: str, number: int, names: Iterable[str]) -> list[Label]:
        """Make these the labels of an issue, all of them and no others, in one call; gives what GitHub now
        holds.
        """
        values = {**repository_parts(repo), "issue_number": number}
        answer = await self._transport.request(SET, values, self._credential, body={"labels": sorted(set(names))})
        if not isinstance(answer.data, list):
            raise Unclear("a list of labels was expected", status=answer.status, operation=SET.id)
        return [parse(SET, Label, item, answer.status) for item in answer.data]


def _short(label: OurLabel) -> str:
    return label.description[:MAX_DESCRIPTION]
