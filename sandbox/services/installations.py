"""What happens to an installation after it was made. Each tells the App itself, which needs no subscription
for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox.serializers import issues as issue_serializer
from sandbox.services.subscriptions import check_subscriptions
from sandbox.state.models import Installation, Repository, User

if TYPE_CHECKING:
    from sandbox.sandbox import Sandbox


def delete(hub: Sandbox, installation: Installation, *, sender: User | None = None) -> None:
    """Uninstall: its tokens die; sends `installation` deleted."""
    hub.tell_installation(installation, "installation", "deleted", sender=sender)
    del hub.installations[installation.id]


def suspend(hub: Sandbox, installation: Installation, by: User) -> None:
    """Suspend: tokens are refused and webhooks stop; sends `installation` suspend."""
    installation.suspended_at = installation.updated_at = hub.now()
    installation.suspended_by = by
    hub.tell_installation(installation, "installation", "suspend", sender=by)


def unsuspend(hub: Sandbox, installation: Installation, by: User) -> None:
    """End a suspension; sends `installation` unsuspend."""
    installation.suspended_at, installation.suspended_by = None, None
    installation.updated_at = hub.now()
    hub.tell_installation(installation, "installation", "unsuspend", sender=by)


def accept_permissions(hub: Sandbox, installation: Installation, *, sender: User | None = None) -> None:
    """The owner accepts what the App asks for by now; sends `installation` new_permissions_accepted."""
    check_subscriptions(installation.app.permissions, installation.app.events)
    installation.permissions = dict(installation.app.permissions)
    installation.events = list(installation.app.events)
    installation.updated_at = hub.now()
    hub.tell_installation(installation, "installation", "new_permissions_accepted", sender=sender)


def add(
    hub: Sandbox,
    installation: Installation,
    repositories: Sequence[Repository],
    *,
    sender: User | None = None,
) -> None:
    """Give it more repositories; sends `installation_repositories` added."""
    new = [one for one in repositories if one not in installation.selected]
    installation.selected += new
    _changed(hub, installation, "added", new, [], sender)


def remove(
    hub: Sandbox,
    installation: Installation,
    repositories: Sequence[Repository],
    *,
    sender: User | None = None,
) -> None:
    """Take repositories away; sends `installation_repositories` removed."""
    gone = [one for one in repositories if one in installation.selected]
    installation.selected = [one for one in installation.selected if one not in gone]
    _changed(hub, installation, "removed", [], gone, sender)


def _changed(
    hub: Sandbox,
    installation: Installation,
    action: str,
    added: Sequence[Repository],
    removed: Sequence[Repository],
    sender: User | None,
) -> None:
    installation.updated_at = hub.now()
    hub.tell_installation(
        installation,
        "installation_repositories",
        action,
        sender=sender,
        repository_selection=installation.selection,
        repositories_added=[issue_serializer.installed_repository(one) for one in added],
        repositories_removed=[issue_serializer.installed_repository(one) for one in removed],
        requester=None,
    )
