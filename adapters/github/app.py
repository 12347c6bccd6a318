"""Calls what only the App itself (with its JWT) or an installation may ask."""

from __future__ import annotations

from typing import Final

from adapters.github.base_client import BaseClient, query_params
from adapters.github.models import App, HookDelivery, Installation, InstallationToken, Repository
from adapters.github.operation import operation

GET: Final = operation("apps/get-authenticated", "GET", "/app", permission=None)
LIST_INSTALLATIONS: Final = operation(
    "apps/list-installations", "GET", "/app/installations", permission=None, query="per_page"
)
CREATE_TOKEN: Final = operation(
    "apps/create-installation-access-token",
    "POST",
    "/app/installations/{installation_id}/access_tokens",
    permission=None,
    harmless=True,
)
LIST_DELIVERIES: Final = operation(
    "apps/list-webhook-deliveries", "GET", "/app/hook/deliveries", permission=None, query="per_page cursor"
)
REDELIVER: Final = operation(
    "apps/redeliver-webhook-delivery",
    "POST",
    "/app/hook/deliveries/{delivery_id}/attempts",
    permission=None,
)
LIST_REPOSITORIES: Final = operation(
    "apps/list-repos-accessible-to-installation",
    "GET",
    "/installation/repositories",
    permission=("metadata", "read"),
    query="per_page",
    items="repositories",
)


class AppOperations(BaseClient):
    """The App's own calls."""

    async def get_app(self) -> App:
        """Return the App: its slug, permissions and events as GitHub has them now."""
        return await self._request_one(GET, App, {})

    async def list_installations(self) -> list[Installation]:
        """List all installations, suspended ones included."""
        return await self._request_all(LIST_INSTALLATIONS, Installation, {})

    async def create_installation_token(self, installation_id: int) -> InstallationToken:
        """Create a new token for an installation, valid for an hour; NotFound once it was uninstalled."""
        return await self._request_one(CREATE_TOKEN, InstallationToken, {"installation_id": installation_id})

    async def list_hook_deliveries(self, cursor: str | None = None) -> tuple[list[HookDelivery], str | None]:
        """Read one page of the log of webhook deliveries, newest first, and the cursor of the next if there is one.

        The log is long (3 days of every attempt), so it can be left and read on with the cursor. Invalid: GitHub does
        not know that cursor any more.
        """
        return await self._request_page(LIST_DELIVERIES, HookDelivery, query_params(cursor=cursor))

    async def redeliver(self, delivery_id: int) -> None:
        """Ask GitHub to deliver again; it keeps the `X-GitHub-Delivery` of the first attempt."""
        await self._execute(REDELIVER, {"delivery_id": delivery_id})


class InstallationOperations(BaseClient):
    """What an installation asks about itself."""

    async def list_installation_repositories(self) -> list[Repository]:
        """List the repositories that the installation may see."""
        return await self._request_all(LIST_REPOSITORIES, Repository, {})
