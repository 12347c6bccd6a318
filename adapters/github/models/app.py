"""The App, its installations, and what people may do."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field, SecretStr, model_validator

from adapters.github.models.base import GitHubModel, User


class App(GitHubModel):
    """The GitHub App itself."""

    id: int
    slug: str = ""
    name: str
    permissions: dict[str, Any] = Field(default_factory=dict)
    events: tuple[str, ...] = ()


class Installation(GitHubModel):
    """An installation of the App on an account; suspended when `suspended_at` is set."""

    id: int
    account: User | None = None
    app_id: int = 0
    app_slug: str = ""
    repository_selection: str = "all"
    permissions: dict[str, Any] = Field(default_factory=dict)
    events: tuple[str, ...] = ()
    suspended_at: AwareDatetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _enterprise_account(cls, data: Any) -> Any:
        # An enterprise as account has a slug where people and organisations have a login.
        account = data.get("account") if isinstance(data, dict) else None
        if isinstance(account, dict) and "login" not in account and "slug" in account:
            return {**data, "account": {**account, "login": account["slug"], "type": "Enterprise"}}
        return data


class InstallationToken(GitHubModel):
    """A token of an installation; hidden from prints and logs."""

    token: SecretStr
    expires_at: AwareDatetime


class Permission(GitHubModel):
    """What a person may do in a repository: `permission` is none, read, write or admin; `role_name` the finer
    role.
    """

    permission: str
    role_name: str = ""
    user: User | None = None


class HookDelivery(GitHubModel):
    """One attempt to deliver a webhook; `guid` is the `X-GitHub-Delivery`, the same for all attempts.

    `status_code` is the receiver's answer; where none came GitHub puts one of its own there (502, 504).
    """

    id: int
    guid: str
    delivered_at: AwareDatetime
    redelivery: bool = False
    status: str
    status_code: int
    event: str
    action: str | None = None
    installation_id: int | None = None
    repository_id: int | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver took it. A redirection is none of its answers: GitHub does not follow it."""
        return 200 <= self.status_code < 300
