"""Define what every resolver gets: the execution of one request, and GitHub's errors of one field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphql import GraphQLResolveInfo

from sandbox.hub import Hub
from sandbox.state.credentials import Credential
from sandbox.state.models import App, Repository, Role, User, role_at_least


class FieldError(Exception):
    """An error of one field, which is null then. `kind` is GitHub's `type`."""

    def __init__(self, kind: str | None, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def node_not_found(node_id: str) -> FieldError:
    """No object has this global id, or the sender may not see it."""
    return FieldError("NOT_FOUND", f"Could not resolve to a node with the global id of '{node_id}'")


@dataclass(frozen=True, slots=True)
class Execution:
    """One request in execution: who sent it, and what it costs."""

    hub: Hub
    credential: Credential
    points: int
    nodes: int

    @property
    def viewer(self) -> User:
        """Who sent the request; an App acts as its bot."""
        if self.credential.user is None:
            raise FieldError(None, "This endpoint requires you to be authenticated.")
        return self.credential.user

    @property
    def repositories(self) -> list[Repository]:
        """The repositories that the sender can see."""
        return [repo for repo in self.hub.repositories.values() if self.credential.can_see(repo)]

    def require_write(self, repository: Repository, permission: str, role: Role = "triage") -> tuple[User, App | None]:
        """Give the sender, and the App of the sender. Raises FieldError for a sender that may not write this."""
        credential = self.credential
        person = credential.kind == "user" and role_at_least(repository.role_of(self.viewer), role)
        if not (person or (credential.has_access(repository) and credential.has_permission(permission))):
            raise FieldError("FORBIDDEN", "Resource not accessible by integration")
        return self.viewer, credential.app


Info: TypeAlias = GraphQLResolveInfo[Execution]
Resolver: TypeAlias = Callable[..., Any]  # of the object, the Info, and the arguments by their names in snake case
Fields: TypeAlias = Mapping[str, Resolver | str]  # of one type: a resolver, or the name of an attribute
