"""Accounts (people, bots, organisations), GitHub Apps, and the roles that people have in repositories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from sandbox.state.ids import Node, node_id

Role = Literal["none", "read", "triage", "write", "maintain", "admin"]
ROLES: tuple[Role, ...] = ("none", "read", "triage", "write", "maintain", "admin")


def role_at_least(role: Role, required: Role) -> bool:
    """Whether a role includes another: admin includes all, none only itself."""
    return ROLES.index(role) >= ROLES.index(required)


@dataclass(eq=False, kw_only=True)
class User(Node):
    """A person (`type` User) or the bot of an App (`type` Bot, login `slug[bot]`)."""

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
class Organisation(Node):
    """An organisation: owns repositories and Apps."""

    node_prefix: ClassVar[str] = "O"
    login: str
    members: dict[int, User] = field(default_factory=dict, repr=False)
    created_at: datetime = field(repr=False)
    type: Literal["Organization"] = "Organization"


Account = User | Organisation


@dataclass(eq=False, kw_only=True)
class App(Node):
    """A GitHub App: its key, its webhook, its permissions and the events it subscribed to."""

    node_prefix: ClassVar[str] = "A"
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


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that its owner confirmed. Its code can be used once, within an hour."""

    content: Mapping[str, Any]
    owner: Account
    expires_at: datetime
