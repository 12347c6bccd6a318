"""What a token or a JWT proves about the sender of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sandbox.state.accounts import App, User
from sandbox.state.models import Installation, Repository, WorkflowRun

LEVELS = ("none", "read", "write", "admin")


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request proved about its sender. `user` is who acts; an App acts as its bot."""

    kind: Literal["anonymous", "app", "installation", "user", "run"]
    user: User | None = None
    app: App | None = None
    installation: Installation | None = None
    run: WorkflowRun | None = None
    permissions: Mapping[str, str] | None = None
    repositories: frozenset[int] | None = None
    expires_at: datetime | None = None
    token: str = ""

    @property
    def rate_limit_key(self) -> str:
        """The key of its rate limit."""
        if self.installation is not None:
            return f"installation {self.installation.id}"
        if self.user is not None:
            return f"{self.kind} {self.user.id}"
        return "anonymous"

    @property
    def name(self) -> str:
        """The slug of an App, else the login of the user."""
        if self.app is not None:
            return self.app.slug
        return self.user.login if self.user is not None else "anonymous"

    def has_access(self, repository: Repository) -> bool:
        """Whether the repository is one of those that the credential was given for."""
        if self.kind in ("installation", "run"):
            return self.repositories is None or repository.id in self.repositories
        if not repository.private:
            return True
        return self.user is not None and self.kind == "user" and repository.role_of(self.user) != "none"

    def can_see(self, repository: Repository) -> bool:
        """Whether the sender can see the repository: a public one can be read with any token."""
        return not repository.private or self.has_access(repository)

    def has_permission(self, permission: str) -> bool:
        """Whether an App's or a run's token was granted `name:level`, or one of several separated by `|`."""
        for alternative in permission.split("|"):
            name, _, level = alternative.partition(":")
            granted = (self.permissions or {}).get(name, "none")
            if LEVELS.index(granted) >= LEVELS.index(level) or alternative == "metadata:read":
                return True
        return False


ANONYMOUS = Credential("anonymous")
