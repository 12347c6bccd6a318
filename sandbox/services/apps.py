"""Register GitHub Apps, by hand or from a manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sandbox.hub import Hub
from sandbox.services.subscriptions import check_subscriptions
from sandbox.state.accounts import Account, App, Manifest, User
from sandbox.state.keys import key_pair

ACTIONS_APP, ACTIONS_BOT = 15_368, 41_898_282  # numeric ids of GitHub Actions and of github-actions[bot]
MANIFEST_LIFETIME = timedelta(hours=1)


def register_app(
    hub: Hub,
    slug: str,
    *,
    webhook_url: str | None,
    secret: str | None,
    permissions: Mapping[str, str],
    events: Sequence[str],
    name: str | None,
    owner: Account,
) -> App:
    """Register a GitHub App. Raises ValueError for events that its permissions do not cover."""
    all_permissions = {"metadata": "read", **permissions}
    check_subscriptions(all_permissions, events)
    if slug in hub.apps:
        raise ValueError(f"there is an App called {slug} already")
    private, public = key_pair(len(hub.apps))
    app_id = hub.new_id()
    app = App(
        id=app_id,
        slug=slug,
        name=name or slug,
        owner=owner,
        bot=hub.bot(f"{slug}[bot]"),
        private_key=private,
        public_key=public,
        client_id=f"Iv23li{app_id:014d}",
        webhook_url=webhook_url,
        secret=secret,
        permissions=all_permissions,
        events=list(events),
        hook_id=hub.new_id(),
        created_at=hub.now(),
    )
    hub.apps[slug] = app
    return app


def confirm_manifest(hub: Hub, content: Mapping[str, Any], owner: Account) -> str:
    """Confirm a manifest as its owner does with "Create GitHub App", and return the code to convert.

    Raises ValueError for a manifest that lacks a required key, or whose events its permissions do not cover.
    """
    missing = [key for key in ("name", "url", "hook_attributes") if not content.get(key)]
    if missing:
        raise ValueError(f"the manifest lacks {', '.join(missing)}")
    check_subscriptions(
        {"metadata": "read", **content.get("default_permissions", {})}, content.get("default_events", [])
    )
    code = f"{hub.random.getrandbits(160):040x}"
    hub.manifests[code] = Manifest(content, owner, hub.now() + MANIFEST_LIFETIME)
    return code


def app_from_manifest(hub: Hub, code: str) -> App | None:
    """Register the App of a confirmed manifest; None when the code is unknown, used or older than an hour."""
    manifest = hub.manifests.pop(code, None)
    if manifest is None or manifest.expires_at <= hub.now():
        return None
    content = manifest.content
    return register_app(
        hub,
        re.sub(r"[^a-z0-9]+", "-", str(content["name"]).lower()).strip("-"),
        name=str(content["name"]),
        owner=manifest.owner,
        webhook_url=content["hook_attributes"].get("url"),
        secret=f"{hub.random.getrandbits(160):040x}",
        permissions=content.get("default_permissions", {}),
        events=content.get("default_events", []),
    )


def actions_app(hub: Hub, owner: Account, bot: User) -> App:
    """The App of GitHub Actions itself, which every repository has."""
    return App(
        id=ACTIONS_APP,
        slug="github-actions",
        name="GitHub Actions",
        owner=owner,
        bot=bot,
        private_key="",
        public_key="",
        client_id="Iv1.05c79e9ad1f6bdfa",
        webhook_url=None,
        secret=None,
        permissions={"actions": "write", "checks": "write", "contents": "write", "metadata": "read"},
        events=[],
        hook_id=0,
        created_at=hub.now(),
        description="Automate your workflow from idea to production",
    )
