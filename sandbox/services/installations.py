"""Install an App and change its installation. Each function sends a webhook that needs no subscription."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sandbox.hub import Hub
from sandbox.serializers import issues as issue_serializer
from sandbox.services.subscriptions import check_subscriptions
from sandbox.state.models import Account, App, Installation, Repository, User


def install(
    hub: Hub,
    app: App,
    account: Account,
    repositories: Sequence[Repository] | Literal["all"],
    *,
    sender: User | None,
) -> Installation:
    """Install an App on an account; sends `installation` created."""
    now = hub.now()
    installation = Installation(
        id=hub.new_id(),
        app=app,
        account=account,
        repositories=[] if repositories == "all" else list(repositories),
        selection="all" if repositories == "all" else "selected",
        permissions=dict(app.permissions),
        events=list(app.events),
        created_at=now,
        updated_at=now,
    )
    hub.installations[installation.id] = installation
    hub.emit_installation(installation, "installation", "created", sender=sender, requester=None)
    return installation


def delete(hub: Hub, installation: Installation, *, sender: User | None = None) -> None:
    """Uninstall; revokes the tokens and sends `installation` deleted."""
    hub.emit_installation(installation, "installation", "deleted", sender=sender)
    del hub.installations[installation.id]


def suspend(hub: Hub, installation: Installation, actor: User) -> None:
    """Suspend: tokens are refused and webhooks stop; sends `installation` suspend."""
    installation.suspended_at = installation.updated_at = hub.now()
    installation.suspended_by = actor
    hub.emit_installation(installation, "installation", "suspend", sender=actor)


def unsuspend(hub: Hub, installation: Installation, actor: User) -> None:
    """End a suspension; sends `installation` unsuspend."""
    installation.suspended_at, installation.suspended_by = None, None
    installation.updated_at = hub.now()
    hub.emit_installation(installation, "installation", "unsuspend", sender=actor)


def accept_permissions(hub: Hub, installation: Installation) -> None:
    """Accept the App's current permissions and events as the owner; sends `installation` new_permissions_accepted."""
    check_subscriptions(installation.app.permissions, installation.app.events)
    installation.permissions = dict(installation.app.permissions)
    installation.events = list(installation.app.events)
    installation.updated_at = hub.now()
    hub.emit_installation(installation, "installation", "new_permissions_accepted")


def add_repositories(
    hub: Hub,
    installation: Installation,
    repositories: Sequence[Repository],
    *,
    sender: User | None = None,
) -> None:
    """Add repositories; sends `installation_repositories` added."""
    added = [repository for repository in repositories if repository not in installation.repositories]
    installation.repositories += added
    _emit_change(hub, installation, "added", added, [], sender)


def remove_repositories(hub: Hub, installation: Installation, repositories: Sequence[Repository]) -> None:
    """Remove repositories; sends `installation_repositories` removed."""
    removed = [repository for repository in repositories if repository in installation.repositories]
    installation.repositories = [repository for repository in installation.repositories if repository not in removed]
    _emit_change(hub, installation, "removed", [], removed, None)


def _emit_change(
    hub: Hub,
    installation: Installation,
    action: str,
    added: Sequence[Repository],
    removed: Sequence[Repository],
    sender: User | None,
) -> None:
    installation.updated_at = hub.now()
    hub.emit_installation(
        installation,
        "installation_repositories",
        action,
        sender=sender,
        repository_selection=installation.selection,
        repositories_added=[issue_serializer.installed_repository(repository) for repository in added],
        repositories_removed=[issue_serializer.installed_repository(repository) for repository in removed],
        requester=None,
    )
