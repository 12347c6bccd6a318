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
from core.commands.permissions import ROLES, has_role
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


def agents_of_user(repository: RepositoryRow, user: User | None, branch: str = "") -> tuple[str, ...] | None:
    """The agents that act by this account, those that were removed and finish what they have among them.

    See `config.identities.workers`; this is the one place that says which agent a GitHub account is.
    """
    if user is None:
        return None
    return agents_of_account(repository.team.all_agents, user.id, is_bot=user.type == "Bot", branch=branch)


async def get_role(github: GitHub, full_name: str, user: User | None) -> str:
    """The role of a user on the repository, as GitHub tells it now; where it will not say, `none`.

    Raises what passes by itself: whatever asks is tried again.

    The answer counts only for the numeric id that was asked about: logins can be taken by other accounts.
    """
    if user is None:
        return "none"
    try:
        permission = await github.get_permission(full_name, user.login)
    except GitHubError as error:
        if policy_for(error).is_transient:
            raise  # an outage of GitHub refuses no user
        return "none"
    if permission.user is None or permission.user.id != user.id:
        return "none"
    # A custom role has a name of its own; the coarse permission it is based on still tells something.
    return permission.role_name if permission.role_name in ROLES else permission.permission


async def can_write(github: GitHub, full_name: str, user: User | None) -> bool:
    """Whether this user has write access now."""
    return has_role(await get_role(github, full_name, user), "write")


async def read_dependencies(
    database: Database,
    github: GitHub,
    repository: RepositoryRow,
    issue: Issue,
    intake: ParsedIssue,
    *,
    force_read: bool = False,
    native_dependencies: Mapping[str, Dependency] | None = None,
) -> Mapping[str, Dependency]:
    """What an issue depends on, by its text and by GitHub's own relations.

    Tasks of ours are looked up again under the lock; of the text's references only the others are asked for. GitHub's
    relations are read where the issue has any, and its own counts do not agree with what we know (or `afresh`); not
    where they are given (`relations`).
    """
    async with database.autocommit() as connection:
        existing = await dependency_graph.load_dependencies(connection, repository.id, issue.number)
        relation_count = issue.issue_dependencies_summary.total_blocked_by or issue.sub_issues_summary.total
        if not (existing or intake.dependencies or native_dependencies or relation_count):
            return {}
        resolver = await dependency_graph.ReferenceResolver.load(connection, repository)
        text_references = {
            resolver.reference((repository.id, 0), _reference_text(item)) for item in intake.dependencies
        }
        finished = await dependency_graph.load_finished(connection, resolver, text_references)
    dependencies: dict[str, Dependency] = {}
    for reference in sorted(text_references):
        if reference in finished:
            dependencies[reference] = Dependency(finished[reference])
            continue
        name, _, number = reference.rpartition("#")
        try:
            target = await github.get_issue(name or repository.full_name, int(number))
        except (NotFound, Gone, Forbidden, ValueError):
            dependencies[reference] = Dependency(None)
        else:
            # By the name that the repository has now: the text may spell it otherwise, or call it as it was.
            dependencies[_resolve_reference(resolver, target)] = Dependency(target.state == "closed")
    native = {reference: dependency for reference, dependency in existing.items() if dependency.source.is_native}
    if native_dependencies is not None:
        native = dict(native_dependencies)
    elif force_read or not _counts_match(issue, native):
        native = await _read_native_dependencies(github, repository, issue, resolver)
    return dependencies | native


def _reference_text(dependency: DependencyReference) -> str:
    return f"{dependency.owner_repo or ''}#{dependency.number}"


def _resolve_reference(resolver: dependency_graph.ReferenceResolver, issue: Issue) -> str:
    repository = resolver.repository
    return resolver.reference((repository.id, 0), f"{issue.repository or repository.full_name}#{issue.number}")


def _counts_match(issue: Issue, native: Mapping[str, Dependency]) -> bool:
    """Whether GitHub's counts are those of the relations that we know."""
    blockers = [dependency.finished for dependency in native.values() if dependency.source is Source.BLOCKED_BY]
    sub_issues = [dependency.finished for dependency in native.values() if dependency.source is Source.SUB_ISSUE]
    summary, sub_issue_summary = issue.issue_dependencies_summary, issue.sub_issues_summary
    return (summary.total_blocked_by, summary.blocked_by, sub_issue_summary.total, sub_issue_summary.completed) == (
        len(blockers),
        blockers.count(False),
        len(sub_issues),
        sub_issues.count(True),
    )


async def _read_native_dependencies(
    github: GitHub, repository: RepositoryRow, issue: Issue, resolver: dependency_graph.ReferenceResolver
) -> dict[str, Dependency]:
    dependencies: dict[str, Dependency] = {}
    if issue.issue_dependencies_summary.total_blocked_by:
        for blocker in await github.list_blocked_by(repository.full_name, issue.number):
            dependencies[_resolve_reference(resolver, blocker)] = Dependency(
                blocker.state == "closed", Source.BLOCKED_BY
            )
    if issue.sub_issues_summary.total:
        for sub_issue in await github.list_sub_issues(repository.full_name, issue.number):
            dependencies[_resolve_reference(resolver, sub_issue)] = Dependency(
                sub_issue.state == "closed", Source.SUB_ISSUE
            )
    return dependencies


async def resolve_references(
    database: Database, github: GitHub, repository: RepositoryRow, argument: str
) -> Mapping[str, ReferencedIssue | None]:
    """The issues that a command names, asked of GitHub; nothing where the command is refused without a look."""
    try:
        _, names = parse_references(argument)
    except CommandRejected:
        return {}
    async with database.autocommit() as connection:
        resolver = await dependency_graph.ReferenceResolver.load(connection, repository)
    issues: dict[str, ReferencedIssue | None] = {}
    for name in names:
        repository_name, _, number = name.rpartition("#")
        try:
            issue = await github.get_issue(repository_name or repository.full_name, int(number))
        except (NotFound, Gone, Forbidden, ValueError):
            issues[name] = None
        else:
            issues[name] = ReferencedIssue(_resolve_reference(resolver, issue), issue.id, issue.is_pull_request)
    return issues


async def make_issue_seen(
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
    force_read: bool = False,
    native_dependencies: Mapping[str, Dependency] | None = None,
    missed_changes: tuple[LabelChange, ...] = (),
    occurred_at: datetime | None = None,
    was_open: bool = False,
) -> IssueSeen:
    """The whole signal for an issue; without a sender it was merely read again.

    `forecasts` makes the forecast of a text that is new; without it the task keeps the one that it has.
    `afresh` reads GitHub's own relations even if their number seems to be what we know; `relations` are they, where
    they were read already. `deeds` are what was done to the issue without our hearing of it. `at` and `was_open` are
    those of the news, where the issue was read again since.
    """
    facts = issue_facts(issue)
    needs_forecast = forecasts is not None and facts.open and is_task(facts.labels)
    return IssueSeen(
        issue=facts,
        sender=actor(sender) if sender else None,
        sender_can_write=sender_can_write,
        sender_is_us=sender_is_us,
        label=label,
        label_added=label_added,
        dependencies=await read_dependencies(
            database,
            github,
            repository,
            issue,
            facts.intake,
            force_read=force_read,
            native_dependencies=native_dependencies,
        ),
        forecast=await forecasts.predict(repository, facts) if forecasts and needs_forecast else None,
        missed_changes=missed_changes,
        occurred_at=occurred_at,
        was_open=was_open,
    )
