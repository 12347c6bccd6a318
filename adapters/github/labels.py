"""Labels of a repository and of an issue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from adapters.github.caller import Caller, given, parse, repository_parts
from adapters.github.errors import Unclear
from adapters.github.models import Label
from adapters.github.operation import operation

_LABELS: Final = "/repos/{owner}/{repo}/labels"
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
