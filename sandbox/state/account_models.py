"""People, organisations, Apps and their installations, as state; and the roles that people can have."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from sandbox.state.ids import node_id

if TYPE_CHECKING:
    from sandbox.sandbox import Sandbox
    from sandbox.state.models import Repository

Role = Literal["none", "read", "triage", "write", "maintain", "admin"]
ROLES: tuple[Role, ...] = ("none", "read", "triage", "write", "maintain", "admin")


def role_at_least(role: Role, required: Role) -> bool:
    """Whether a role includes another: admin includes all, none only itself."""
    return ROLES.index(role) >= ROLES.index(required)


@dataclass(eq=False, kw_only=True)
class User:
    """A person (`type` User) or the bot of an App (`type` Bot, login `slug[bot]`). `people.Person` adds what
    people do.
    """

    hub: Sandbox = field(repr=False)
    id: int
    login: str
    type: Literal["User", "Bot"] = "User"
    name: str | None = None
    email: str | None = None
    created_at: datetime = field(repr=False)

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("BOT" if self.type == "Bot" else "U", self.id)

    @property
    def commit_email(self) -> str:
        """The address that commits made on GitHub in this person's name carry."""
        return f"{self.id}+{self.login}@users.noreply.github.com"


@dataclass(eq=False, kw_only=True)
class Organisation:
    """An organisation: owns repositories and Apps."""

    id: int
    login: str
    members: dict[int, User] = field(default_factory=dict, repr=False)
    created_at: datetime = field(repr=False)
    type: Literal["Organization"] = "Organization"

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("O", self.id)


Account = User | Organisation


@dataclass(eq=False, kw_only=True)
class App:
    """A GitHub App: its key, its webhook, what it may do and what it hears of."""

    id: int
    slug: str
    name: str
    owner: Account = field(repr=False)
    bot: User = field(repr=False)
    private_key: str = field(repr=False)
    public_key: str = field(repr=False)
    client_id: str
    webhook_url: str | None
    secret: str | None = field(repr=False)
    permissions: dict[str, str]
    events: list[str]
    hook_id: int
    created_at: datetime = field(repr=False)
    description: str = ""

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("A", self.id)


@dataclass(eq=False, kw_only=True)
class Installation:
    """An App on an account, with the repositories it was given (all of the account's when `selection` is
    all).
    """

    id: int
    app: App
    account: Account = field(repr=False)
    repositories: list[Repository] = field(repr=False)
    selection: Literal["all", "selected"] = "selected"
    permissions: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    created_at: datetime = field(repr=False)
    updated_at: datetime = field(repr=False)
    suspended_at: datetime | None = None
    suspended_by: User | None = None

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("MDIz", self.id)
