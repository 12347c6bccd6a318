"""Calls GitHub as a person, for the few things that GitHub refuses to Apps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from adapters.github.errors import NotFound, UnexpectedResponse
from adapters.github.issues import IssueOperations
from adapters.github.models import User
from adapters.github.models.base import GitHubModel
from adapters.github.operation import repository_parts
from adapters.github.tokens import PersonCredential
from adapters.github.transport import Transport
from adapters.github.users import UserOperations

# Whom this person may assign in a repository; agents are among them only where they are switched on.
_ASSIGNABLE: Final = """
query Assignable($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    viewerPermission
    suggestedActors(capabilities: [CAN_BE_ASSIGNED], first: 100) {
      nodes { __typename login ... on Bot { databaseId } ... on User { databaseId } }
    }
  }
}
"""


class _Actor(GitHubModel):
    login: str
    databaseId: int | None = None  # noqa: N815 - GitHub's own name


class _Actors(GitHubModel):
    nodes: tuple[_Actor | None, ...]


class _Repository(GitHubModel):
    viewerPermission: str | None = None  # noqa: N815 - GitHub's own name
    suggestedActors: _Actors  # noqa: N815 - GitHub's own name


@dataclass(frozen=True, slots=True)
class Assignable:
    """What a person may do in a repository (`ADMIN`, `WRITE`, `READ`, …), and whom they may assign: id → login."""

    permission: str
    actors: dict[int, str]


class UserClient(IssueOperations, UserOperations):
    """GitHub as one person. Methods raise classes in `adapters.github.errors`."""

    def __init__(self, transport: Transport, credential: PersonCredential) -> None:
        super().__init__(transport, credential)
        self.is_app_token = credential.is_app_token
        self._me: User | None = None

    async def get_current_user(self) -> User:
        """Return the person; asked once."""
        if self._me is None:
            self._me = await self.get_me()
        return self._me

    async def get_assignable(self, repo: str) -> Assignable:
        """Return whom the person may assign to issues of a repository. Raises NotFound if they do not see it."""
        parts = repository_parts(repo)
        variables = {"owner": parts["owner"], "name": parts["repo"]}
        data = await self._transport.graphql(_ASSIGNABLE, variables, self._credential)
        if data.get("repository") is None:
            raise NotFound(f"there is no repository {repo} for this person", operation="graphql")
        try:
            repository = _Repository.model_validate(data["repository"])
        except ValidationError as error:
            raise UnexpectedResponse("the answer is no list of assignable actors", operation="graphql") from error
        actors = {
            actor.databaseId: actor.login for actor in repository.suggestedActors.nodes if actor and actor.databaseId
        }
        return Assignable(repository.viewerPermission or "NONE", actors)
