"""Calls labels of a repository and of an issue."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from adapters.github.base_client import BaseClient, parse, repository_parts
from adapters.github.errors import GraphQLError, Invalid, NotFound, UnknownOutcome
from adapters.github.models import Label
from adapters.github.operation import operation
from config.labels import LabelDefinition as OurLabel

_LABELS: Final = "/repos/{owner}/{repo}/labels"
MAX_DESCRIPTION: Final = 100
_ISSUE_LABELS: Final = "/repos/{owner}/{repo}/issues/{issue_number}/labels"

LIST: Final = operation("issues/list-labels-for-repo", "GET", _LABELS, permission=("issues", "read"), query="per_page")
CREATE: Final = operation(
    "issues/create-label", "POST", _LABELS, permission=("issues", "write"), body="name color description"
)
LIST_ON_ISSUE: Final = operation(
    "issues/list-labels-on-issue", "GET", _ISSUE_LABELS, permission=("issues", "read"), query="per_page"
)
SET: Final = operation("issues/set-labels", "PUT", _ISSUE_LABELS, permission=("issues", "write"), body="labels")


class LabelOperations(BaseClient):
    """Labels. `color` is six hex digits without `#`."""

    async def list_repo_labels(self, repo: str) -> list[Label]:
        """List the labels that the repository knows."""
        return await self._request_all(LIST, Label, repository_parts(repo))

    async def create_label(self, repo: str, name: str, *, color: str, description: str = "") -> Label:
        """Create a label; Invalid with `already_exists` when there is one (names differ by more than case)."""
        body = {"name": name, "color": color, "description": description}
        return await self._request_one(CREATE, Label, repository_parts(repo), body=body)

    async def ensure_labels(self, repo: str, labels: Sequence[OurLabel]) -> None:
        """Make those of the labels that the repository lacks; those that it has stay as they are."""
        existing_names = {label.name.casefold() for label in await self.list_repo_labels(repo)}
        missing = [label for label in labels if label.name.casefold() not in existing_names]
        if not missing:
            return
        try:
            await self.create_labels(await self._get_repository_id(repo), missing)
        except GraphQLError:
            for label in missing:  # a server whose GraphQL cannot make labels
                with contextlib.suppress(Invalid):  # someone made it meanwhile
                    await self.create_label(repo, label.name, color=label.colour, description=_short_description(label))

    async def _get_repository_id(self, repo: str) -> str:
        parts = repository_parts(repo)
        query = "query Node($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { id } }"
        variables = {"owner": parts["owner"], "name": parts["repo"]}
        repository: Any = (await self._transport.graphql(query, variables, self._credential)).get("repository")
        if not repository:
            raise NotFound(f"there is no repository {repo} for us", operation="graphql")
        return str(repository["id"])

    async def create_labels(self, repository: str, labels: Sequence[OurLabel]) -> dict[str, str]:
        """Make labels in one request; `repository` is its id in GraphQL. Returns the ids of those made, by name.

        One that is there already, or that GitHub refuses, is left out and does not stop the others. Raises GraphQLError
        where the server cannot do this at all.
        """
        variable_types = ", ".join(f"$w{index}: CreateLabelInput!" for index in range(len(labels)))
        fields = " ".join(
            f"w{index}: createLabel(input: $w{index}) {{ label {{ id }} }}" for index in range(len(labels))
        )
        inputs = {
            f"w{index}": {
                "repositoryId": repository,
                "name": label.name,
                "color": label.colour,
                "description": _short_description(label),
            }
            for index, label in enumerate(labels)
        }
        mutation = f"mutation CreateLabels({variable_types}) {{ {fields} }}"
        results: Any
        try:
            results = await self._transport.graphql(mutation, inputs, self._credential, content=False)
        except Invalid:
            return {}
        except GraphQLError as error:
            if not isinstance(error.data, Mapping) or not error.data:
                raise
            results = error.data
        results_by_name = {label.name: results.get(f"w{index}") for index, label in enumerate(labels)}
        return {name: str(result["label"]["id"]) for name, result in results_by_name.items() if result}

    async def list_issue_labels(self, repo: str, number: int) -> list[Label]:
        """List the labels of an issue."""
        return await self._request_all(LIST_ON_ISSUE, Label, {**repository_parts(repo), "issue_number": number})

    async def set_issue_labels(self, repo: str, number: int, names: Iterable[str]) -> list[Label]:
        """Make these the labels of an issue, all of them and no others, in one call; returns what GitHub now
        holds.
        """
        values = {**repository_parts(repo), "issue_number": number}
        response = await self._transport.request(SET, values, self._credential, body={"labels": sorted(set(names))})
        if not isinstance(response.data, list):
            raise UnknownOutcome("a list of labels was expected", status=response.status, operation=SET.id)
        return [parse(SET, Label, item, response.status) for item in response.data]


def _short_description(label: OurLabel) -> str:
    return label.description[:MAX_DESCRIPTION]
