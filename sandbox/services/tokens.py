"""Issue and revoke tokens of people, installations and workflow runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from sandbox.hub import Hub
from sandbox.state.credentials import Credential
from sandbox.state.models import Installation, Repository, User, WorkflowRun

RUN_PERMISSIONS = dict.fromkeys(("actions", "checks", "contents", "issues", "pull_requests", "statuses"), "write")
INSTALLATION_TOKEN_LIFETIME = timedelta(hours=1)
RUN_TOKEN_LIFETIME = timedelta(hours=24)


def create_personal_token(hub: Hub, person: User) -> str:
    """Issue a personal access token with everything that the person may do."""
    return _issue(hub, "ghp", Credential("user", user=person))


def create_installation_token(
    hub: Hub,
    installation: Installation,
    *,
    permissions: Mapping[str, str] | None,
    repositories: Sequence[Repository] | None,
) -> str:
    """Issue an installation access token that expires after an hour of the sandbox's clock."""
    accessible = hub.repositories_of(installation) if repositories is None else repositories
    is_limited = repositories is not None or installation.selection == "selected"
    credential = Credential(
        "installation",
        user=installation.app.bot,
        app=installation.app,
        installation=installation,
        permissions=dict(permissions or installation.permissions),
        repositories=frozenset(repository.id for repository in accessible) if is_limited else None,
        expires_at=hub.now() + INSTALLATION_TOKEN_LIFETIME,
    )
    return _issue(hub, "ghs", credential)


def create_run_token(hub: Hub, run: WorkflowRun, permissions: Mapping[str, str] | None) -> str:
    """Issue the GITHUB_TOKEN of a workflow run: it acts as github-actions[bot] in that repository only."""
    credential = Credential(
        "run",
        user=hub.actions_app.bot,
        app=hub.actions_app,
        run=run,
        permissions={"metadata": "read", **(RUN_PERMISSIONS if permissions is None else permissions)},
        repositories=frozenset({run.repository.id}),
        expires_at=hub.now() + RUN_TOKEN_LIFETIME,
    )
    return _issue(hub, "ghs", credential)


def _issue(hub: Hub, prefix: str, credential: Credential) -> str:
    token = f"{prefix}_{next(hub.token_numbers):06d}{hub.random.getrandbits(150):030x}"[:40]
    hub.credentials[token] = replace(credential, token=token)
    return token
