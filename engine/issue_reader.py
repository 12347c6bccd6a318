"""Gathering what a decision needs from GitHub. Always done before the repository is locked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from adapters.database import dependency_graph
from adapters.database.database import Database
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub
from adapters.github.convert import actor
from adapters.github.errors import Forbidden, GitHubError, Gone, NotFound
from adapters.github.models import Issue, User
from config.identities import agents_of_account
from core.commands.registry import ROLES, at_least
from core.decide.commands.base import CommandRejected
from core.decide.commands.dependencies import parse_references
from core.intake.missed_changes import LabelChange
from core.intake.parser import DependencyReference, ParsedIssue
from core.signals.base import IssueFacts, IssueSeen, ReferencedIssue, read_issue
from core.task.dependencies import Dependency, Source
from core.task.labels import is_task
from engine.error_policy import policy_for
from engine.forecasts import ForecastService


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


def workers_of(repository: RepositoryRow, user: User | None, branch: str = "") -> tuple[str, ...] | None:
    """The agents that act by this account, those that were removed and finish what they have among them.

    See `config.identities.workers`; this is the one place that says which agent a GitHub account is.
    """
    if user is None:
        return None
    return agents_of_account(repository.team.all_agents, user.id, is_bot=user.type == "Bot", branch=branch)


async def role_of(github: GitHub, repo: str, user: User | None) -> str:
    """The role of a user on the repository, as GitHub tells it now; where it will not say, `none`.

    Raises what passes by itself: whatever asks is tried again.

    The answer counts only for the numeric id that was asked about: logins can be taken by other accounts.
    """
    if user is None:
        return "none"
    try:
        permission = await github.get_permission(repo, user.login)
    except GitHubError as error:
        if policy_for(error).is_transient:
            raise  # an outage of GitHub refuses no user
        return "none"
    if permission.user is None or permission.user.id != user.id:
        return "none"
    # A custom role has a name of its own; the coarse permission it is based on still tells something.
    return permission.role_name if permission.role_name in ROLES else permission.permission


async def can_write(github: GitHub, repo: str, user: User | None) -> bool:
    """Whether this user has write access now."""
    return at_least(await role_of(github, repo, user), "write")


async def dependencies(
    database: Database,
    github: GitHub,
    repository: RepositoryRow,
    issue: Issue,
    intake: ParsedIssue,
    *,
    afresh: bool = False,
    relations: Mapping[str, Dependency] | None = None,
) -> Mapping[str, Dependency]:
    """What an issue depends on, by its text and by GitHub's own relations.

    Tasks of ours are looked up again under the lock; of the text's references only the others are asked for. GitHub's
    relations are read where the issue has any, and its own counts do not agree with what we know (or `afresh`); not
    where they are given (`relations`).
    """
    async with database.autocommit() as connection:
        stored = await dependency_graph.load_dependencies(connection, repository.id, issue.number)
        counts = issue.issue_dependencies_summary.total_blocked_by or issue.sub_issues_summary.total
        if not (stored or intake.dependencies or relations or counts):
            return {}
        neighbours = await dependency_graph.ReferenceResolver.load(connection, repository)
        told = {neighbours.reference((repository.id, 0), _written(d)) for d in intake.dependencies}
        known = await dependency_graph.load_finished(connection, neighbours, told)
    needs: dict[str, Dependency] = {}
    for reference in sorted(told):
        if reference in known:
            needs[reference] = Dependency(known[reference])
            continue
        name, _, number = reference.rpartition("#")
        try:
            found = await github.get_issue(name or repository.full_name, int(number))
        except (NotFound, Gone, Forbidden, ValueError):
            needs[reference] = Dependency(None)
        else:
            # By the name that the repository has now: the text may spell it otherwise, or call it as it was.
            needs[_reference(neighbours, found)] = Dependency(found.state == "closed")
    native = {reference: need for reference, need in stored.items() if need.source.native}
    if relations is not None:
        native = dict(relations)
    elif afresh or not _agree(issue, native):
        native = await _native(github, repository, issue, neighbours)
    return needs | native


def _written(dependency: DependencyReference) -> str:
    return f"{dependency.owner_repo or ''}#{dependency.number}"


def _reference(neighbours: dependency_graph.ReferenceResolver, issue: Issue) -> str:
    home = neighbours.repository
    return neighbours.reference((home.id, 0), f"{issue.repository or home.full_name}#{issue.number}")


def _agree(issue: Issue, native: Mapping[str, Dependency]) -> bool:
    """Whether GitHub's counts are those of the relations that we know."""
    blockers = [need.finished for need in native.values() if need.source is Source.BLOCKED_BY]
    parts = [need.finished for need in native.values() if need.source is Source.SUB_ISSUE]
    summary, whole = issue.issue_dependencies_summary, issue.sub_issues_summary
    return (summary.total_blocked_by, summary.blocked_by, whole.total, whole.completed) == (
        len(blockers),
        blockers.count(False),
        len(parts),
        parts.count(True),
    )


async def _native(
    github: GitHub, repository: RepositoryRow, issue: Issue, neighbours: dependency_graph.ReferenceResolver
) -> dict[str, Dependency]:
    found: dict[str, Dependency] = {}
    if issue.issue_dependencies_summary.total_blocked_by:
        for blocker in await github.list_blocked_by(repository.full_name, issue.number):
            found[_reference(neighbours, blocker)] = Dependency(blocker.state == "closed", Source.BLOCKED_BY)
    if issue.sub_issues_summary.total:
        for part in await github.list_sub_issues(repository.full_name, issue.number):
            found[_reference(neighbours, part)] = Dependency(part.state == "closed", Source.SUB_ISSUE)
    return found


async def named_issues(
    database: Database, github: GitHub, repository: RepositoryRow, argument: str
) -> Mapping[str, ReferencedIssue | None]:
    """The issues that a command names, asked of GitHub; nothing where the command is refused without a look."""
    try:
        _, names = parse_references(argument)
    except CommandRejected:
        return {}
    async with database.autocommit() as connection:
        neighbours = await dependency_graph.ReferenceResolver.load(connection, repository)
    found: dict[str, ReferencedIssue | None] = {}
    for name in names:
        where, _, number = name.rpartition("#")
        try:
            issue = await github.get_issue(where or repository.full_name, int(number))
        except (NotFound, Gone, Forbidden, ValueError):
            found[name] = None
        else:
            found[name] = ReferencedIssue(_reference(neighbours, issue), issue.id, issue.is_pull_request)
    return found


async def issue_seen(
    database: Database,
    github: GitHub,
    repository: RepositoryRow,
    issue: Issue,
    forecasts: ForecastService | None,
    *,
    sender: User | None = None,
    sender_can_write: bool = False,
    sender_is_us: bool = False,
    label: str | None = None,
    label_added: bool = False,
    afresh: bool = False,
    relations: Mapping[str, Dependency] | None = None,
    deeds: tuple[LabelChange, ...] = (),
    at: datetime | None = None,
    was_open: bool = False,
) -> IssueSeen:
    """The whole signal for an issue; without a sender it was merely read again.

    `forecasts` makes the forecast of a text that is new; without it the task keeps the one that it has.
    `afresh` reads GitHub's own relations even if their number seems to be what we know; `relations` are they, where
    they were read already. `deeds` are what was done to the issue without our hearing of it. `at` and `was_open` are
    those of the news, where the issue was read again since.
    """
    facts = issue_facts(issue)
    wanted = forecasts is not None and facts.open and is_task(facts.labels)
    return IssueSeen(
        issue=facts,
        sender=actor(sender) if sender else None,
        sender_can_write=sender_can_write,
        sender_is_us=sender_is_us,
        label=label,
        label_added=label_added,
        dependencies=await dependencies(
            database, github, repository, issue, facts.intake, afresh=afresh, relations=relations
        ),
        forecast=await forecasts.predict(repository, facts) if forecasts and wanted else None,
        deeds=deeds,
        at=at,
        was_open=was_open,
    )
