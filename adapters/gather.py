"""Gathering what a decision needs from GitHub. Always done before the repository is locked."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.database import graph
from adapters.database.database import Database
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub
from adapters.github.errors import Forbidden, GitHubError, Gone, NotFound
from adapters.github.models import Issue, User
from adapters.pull_facts import actor
from core.commands import ROLES, at_least
from core.intake import Intake
from core.signals import IssueFacts, IssueSeen, read_issue


def issue_facts(issue: Issue) -> IssueFacts:
    """GitHub's issue as the rules see it, its text parsed."""
    return read_issue(
        id=issue.id,
        number=issue.number,
        title=issue.title,
        body=issue.body or "",
        open=issue.state == "open",
        not_planned=issue.state_reason in ("not_planned", "duplicate"),
        author=actor(issue.user),
        labels=issue.label_names,
        url=issue.html_url,
        created_at=issue.created_at,
        updated_at=issue.updated_at,
    )


async def role_of(github: GitHub, repo: str, user: User | None) -> str:
    """The role of a user on the repository, as GitHub tells it now; an error means `none`.

    The answer counts only for the numeric id that was asked about: logins are given away anew.
    """
    if user is None:
        return "none"
    try:
        permission = await github.permission_of(repo, user.login)
    except GitHubError:
        return "none"
    if permission.user is None or permission.user.id != user.id:
        return "none"
    # A custom role has a name of its own; the coarse permission it is based on still tells something.
    return permission.role_name if permission.role_name in ROLES else permission.permission


async def can_write(github: GitHub, repo: str, user: User | None) -> bool:
    """Whether this user has write access now."""
    return at_least(await role_of(github, repo, user), "write")


async def dependencies(
    database: Database, github: GitHub, repository: RepositoryRow, intake: Intake
) -> Mapping[str, bool | None]:
    """What the text depends on: reference → finished, or None where there is no such issue.

    Tasks of ours are looked up again under the lock; here only the others are asked for.
    """
    own = repository.full_name.lower()
    wanted = {
        (repository.full_name, d.number)
        if d.owner_repo is None or d.owner_repo.lower() == own
        else (d.owner_repo, d.number)
        for d in intake.dependencies
    }
    here = [number for repo, number in wanted if repo == repository.full_name]
    async with database.transaction() as connection:
        known = await graph.finished_tasks(connection, repository.id, here)
    found: dict[str, bool | None] = {}
    for repo, number in sorted(wanted):
        reference = f"#{number}" if repo == repository.full_name else f"{repo}#{number}"
        if repo == repository.full_name and number in known:
            found[reference] = known[number]
            continue
        try:
            found[reference] = (await github.get_issue(repo, number)).state == "closed"
        except (NotFound, Gone, Forbidden, ValueError):
            found[reference] = None
    return found


async def issue_seen(
    database: Database,
    github: GitHub,
    repository: RepositoryRow,
    issue: Issue,
    *,
    sender: User | None = None,
    sender_can_write: bool = False,
    sender_is_us: bool = False,
    label: str | None = None,
    label_added: bool = False,
) -> IssueSeen:
    """The whole signal for an issue; without a sender it was merely read again."""
    facts = issue_facts(issue)
    return IssueSeen(
        issue=facts,
        sender=actor(sender) if sender else None,
        sender_can_write=sender_can_write,
        sender_is_us=sender_is_us,
        label=label,
        label_added=label_added,
        dependencies=await dependencies(database, github, repository, facts.intake),
    )
