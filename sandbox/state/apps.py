"""Apps, where they are installed, and every kind of token."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.http.auth import Credential
from sandbox.services.subscriptions import check_subscriptions
from sandbox.state.accounts import Accounts
from sandbox.state.keys import key_pair
from sandbox.state.models import Account, App, Installation, Repository, User, WorkflowRun

if TYPE_CHECKING:
    from sandbox.clock import Clock

ACTIONS_APP, ACTIONS_BOT = 15_368, 41_898_282  # numeric ids of GitHub Actions and of github-actions[bot]
RUN_PERMISSIONS = dict.fromkeys(("actions", "checks", "contents", "issues", "pull_requests", "statuses"), "write")
TOKEN_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that its owner has confirmed; its code is good once, for an hour."""

    content: Mapping[str, Any]
    owner: Account
    expires_at: datetime


class Apps(Accounts):
    """The part of the sandbox that knows Apps, installations and tokens."""

    def __init__(self, root: Path, clock: Clock) -> None:
        super().__init__(root, clock)
        self.random = random.Random(20_260_302)  # noqa: S311 - ids that are the same in every run, no secrets
        self.credentials: dict[str, Credential] = {}
        self.apps: dict[str, App] = {}
        self.installations: dict[int, Installation] = {}
        self.manifests: dict[str, Manifest] = {}
        self._last_token = 0
        self._owner = self.organisation("github")
        self.actions_app = self._actions_app()

    def register_app(
        self,
        slug: str,
        *,
        webhook_url: str | None = None,
        secret: str | None = None,
        permissions: Mapping[str, str],
        events: Sequence[str] = (),
        name: str | None = None,
        owner: Account | None = None,
    ) -> App:
        """Register a GitHub App. Raises ValueError for events whose permission it does not ask for."""
        granted = {"metadata": "read", **permissions}
        check_subscriptions(granted, events)
        if slug in self.apps:
            raise ValueError(f"there is an App called {slug} already")
        private, public = key_pair(len(self.apps))
        app_id = self.new_id()
        app = App(
            id=app_id,
            slug=slug,
            name=name or slug,
            owner=owner or self._owner,
            bot=self.bot(f"{slug}[bot]"),
            private_key=private,
            public_key=public,
            client_id=f"Iv23li{app_id:014d}",
            webhook_url=webhook_url,
            secret=secret,
            permissions=granted,
            events=list(events),
            hook_id=self.new_id(),
            created_at=self.now(),
        )
        self.apps[slug] = app
        return app

    def confirm_manifest(self, content: Mapping[str, Any], owner: Account) -> str:
        """The owner presses "Create GitHub App" on a manifest (`app.yml` as a dict).

        Gives the code that `POST /app-manifests/{code}/conversions` turns into the App. Raises ValueError for a
        manifest that lacks what GitHub asks for, or that wants events without their permission.
        """
        missing = [key for key in ("name", "url", "hook_attributes") if not content.get(key)]
        if missing:
            raise ValueError(f"the manifest lacks {', '.join(missing)}")
        check_subscriptions(
            {"metadata": "read", **content.get("default_permissions", {})}, content.get("default_events", [])
        )
        code = f"{self.random.getrandbits(160):040x}"
        self.manifests[code] = Manifest(content, owner, self.now() + TOKEN_LIFETIME)
        return code

    def app_from_manifest(self, code: str) -> App | None:
        """The App of a confirmed manifest; None when the code is unknown, used or older than an hour."""
        manifest = self.manifests.pop(code, None)
        if manifest is None or manifest.expires_at <= self.now():
            return None
        content = manifest.content
        return self.register_app(
            re.sub(r"[^a-z0-9]+", "-", str(content["name"]).lower()).strip("-"),
            name=str(content["name"]),
            owner=manifest.owner,
            webhook_url=content["hook_attributes"].get("url"),
            secret=f"{self.random.getrandbits(160):040x}",
            permissions=content.get("default_permissions", {}),
            events=content.get("default_events", []),
        )

    def installation_of(self, app: App, repository: Repository) -> Installation | None:
        """The installation through which an App reaches a repository."""
        return next(
            (installation for installation in self.installations_on(repository) if installation.app is app), None
        )

    def installations_on(self, repository: Repository) -> list[Installation]:
        """Every installation that reaches a repository."""
        return [
            installation
            for installation in self.installations.values()
            if (installation.selection == "all" and installation.account is repository.owner)
            or repository in installation.repositories
        ]

    def repositories_of(self, installation: Installation) -> list[Repository]:
        """Every repository that an installation reaches."""
        return [
            repository for repository in self.repositories.values() if installation in self.installations_on(repository)
        ]

    def create_token(self, person: User) -> str:
        """A personal access token: all that the person may do."""
        return self._issue_token("ghp", Credential("user", user=person))

    def create_installation_token(
        self,
        installation: Installation,
        *,
        permissions: Mapping[str, str] | None = None,
        repositories: Sequence[Repository] | None = None,
    ) -> str:
        """An installation access token, good for an hour of the sandbox's clock."""
        accessible = self.repositories_of(installation) if repositories is None else repositories
        return self._issue_token(
            "ghs",
            Credential(
                "installation",
                user=installation.app.bot,
                app=installation.app,
                installation=installation,
                permissions=dict(permissions or installation.permissions),
                repositories=frozenset(repository.id for repository in accessible)
                if repositories is not None or installation.selection == "selected"
                else None,
                expires_at=self.now() + TOKEN_LIFETIME,
            ),
        )

    def create_run_token(self, run: WorkflowRun, permissions: Mapping[str, str] | None = None) -> str:
        """The GITHUB_TOKEN of a workflow run: acts as github-actions[bot] in that repository only."""
        granted = RUN_PERMISSIONS if permissions is None else permissions
        return self._issue_token(
            "ghs",
            Credential(
                "run",
                user=self.actions_app.bot,
                app=self.actions_app,
                run=run,
                permissions={"metadata": "read", **granted},
                repositories=frozenset({run.repository.id}),
                expires_at=self.now() + timedelta(hours=24),
            ),
        )

    def revoke_token(self, token: str) -> None:
        """A token is good no longer."""
        self.credentials.pop(token, None)

    def _issue_token(self, prefix: str, credential: Credential) -> str:
        self._last_token += 1
        token = f"{prefix}_{self._last_token:06d}{self.random.getrandbits(150):030x}"[:40]
        self.credentials[token] = replace(credential, token=token)
        return token

    def _actions_app(self) -> App:
        bot = self.bot("github-actions[bot]", number=ACTIONS_BOT)
        return App(
            id=ACTIONS_APP,
            slug="github-actions",
            name="GitHub Actions",
            owner=self._owner,
            bot=bot,
            private_key="",
            public_key="",
            client_id="Iv1.05c79e9ad1f6bdfa",
            webhook_url=None,
            secret=None,
            permissions={"actions": "write", "checks": "write", "contents": "write", "metadata": "read"},
            events=[],
            hook_id=0,
            created_at=self.now(),
            description="Automate your workflow from idea to production",
        )
