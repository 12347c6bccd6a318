"""Starts GitHub's own coding agent by assigning the issue to it.

GitHub allows a person to do that, but no App: an App's token is refused, sometimes silently. So the assignment uses the
token of a person (GITHUB_USER_TOKEN); everything else is read as the App. Every assignment is an event in the issue's
timeline, and the id of that event is the session, which distinguishes it from later assignments.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from adapters.agents.base import CannotStart, RepositoryContext, StartResult
from adapters.agents.handoff_comments import (
    list_agent_pulls,
    message_key,
    truncate_to_second,
    write_handoff_pages,
    write_once,
)
from adapters.github.errors import Forbidden, GitHubError, Gone, Invalid, NotFound, RateLimited, Unauthorised
from adapters.github.models import IssueEvent, PullRequest, User
from adapters.github.user_client import UserClient
from config.agent_kinds import AgentBase, CopilotAgent
from config.identities import agent_account_id, load_families
from core.effects.base import CancelAgent, MessageAgent, PollAgent, StartAgent
from core.signals.base import AgentSeen
from core.task.model import SessionState
from core.texts import addressed_text, instructions_text

LOGIN = load_families()["copilot"].login  # by which it is assigned
MENTION = "@copilot"  # by which it is spoken to below its own pull request
INSTRUCTIONS_LIMIT = 20_000  # characters of `custom_instructions`; GitHub names no limit, so this is careful
# It starts within minutes and works for an hour at most; if it is later than that by this margin, it is lost.
START_TIMEOUT = timedelta(minutes=15)
WORK_TIMEOUT = timedelta(minutes=65)
# What it writes into the history of its pull request. Known second-hand: where these never come, the request for a
# review and the time tell the same.
FAILED_EVENT = "copilot_work_finished_failure"

_NO_PERSON = (
    "Only a user can assign Copilot, and this service has no user token: set `GITHUB_USER_TOKEN` to a personal "
    "access token with write access to this repository."
)
_USES_APP = (
    "`GITHUB_USER_TOKEN` is the token of an App, and GitHub does not let Apps assign Copilot: set it to a "
    "personal access "
    "token (`github_pat_…` or `ghp_…`)."
)
_EXPIRED = "GitHub does not accept `GITHUB_USER_TOKEN`: it is expired or revoked. Create a new one."
_NO_ACCESS = "The user of `GITHUB_USER_TOKEN` cannot see this repository: give the user and the token write access."
_NO_WRITE_ACCESS = (
    "The user of `GITHUB_USER_TOKEN` has no write access to this repository: grant it, because Copilot requires it."
)
_NOT_ENABLED = (
    "Copilot cannot be assigned here: enable its coding agent for this repository, and check that the user of "
    "`GITHUB_USER_TOKEN` has a plan that includes it. A fine-grained token needs *actions*, *contents*, *issues* and "
    "*pull requests*: read and write."
)


class CopilotAdapter:
    """Assigns issues to Copilot."""

    async def probe(self, context: RepositoryContext, spec: AgentBase) -> tuple[str, ...]:
        """Whether there is a person's token, and whether that person may assign Copilot here."""
        user_client, account_id = context.services.user_client, _account_id(spec)
        if user_client is None:
            return (_NO_PERSON,)
        if user_client.is_app_token:
            return (_USES_APP,)
        try:
            assignable = await user_client.get_assignable(context.repository)
        except Unauthorised:
            return (_EXPIRED,)
        except (NotFound, Forbidden):
            return (_NO_ACCESS,)
        problems = []
        if assignable.permission not in ("WRITE", "MAINTAIN", "ADMIN"):
            problems.append(_NO_WRITE_ACCESS)
        if account_id not in assignable.actors and LOGIN.removesuffix("[bot]") not in assignable.actors.values():
            problems.append(_NOT_ENABLED)
        return tuple(problems)

    async def start(
        self, context: RepositoryContext, spec: AgentBase, effect: StartAgent, *, is_retry: bool
    ) -> StartResult:
        """Assign Copilot with the hand-off as its instructions, unless this attempt did so already."""
        account_id, user_client = _account_id(spec), _require_user_client(context)
        previous = await _current_assignment(context, effect.number, account_id)
        if is_retry and previous and _is_assigned_since(previous, effect.since):
            return _start_result(context, effect.number, previous)
        pages = await write_handoff_pages(context, effect.packet, effect.number, effect.attempt, INSTRUCTIONS_LIMIT)
        try:
            if previous:
                # Assigned by an earlier attempt: it would not start again without being removed first.
                await user_client.remove_assignees(context.repository, effect.number, [LOGIN])
            agent = {
                "target_repo": context.repository,
                "base_branch": str(effect.packet["base"]),
                "custom_instructions": instructions_text(effect.packet, pages),
            }
            await user_client.add_assignees(context.repository, effect.number, [LOGIN], agent=agent)
        except (Unauthorised, Forbidden, NotFound, Gone, Invalid) as error:
            raise CannotStart(
                await self._advice(context, spec, f"GitHub refused to assign Copilot: {error}")
            ) from error
        current = await _current_assignment(context, effect.number, account_id)
        if current is None or (previous and current.id == previous.id):
            raise CannotStart(
                await self._advice(context, spec, "GitHub accepted the request but did not assign Copilot.")
            )
        return _start_result(context, effect.number, current)

    async def _advice(self, context: RepositoryContext, spec: AgentBase, fallback: str) -> str:
        try:
            problems = await self.probe(context, spec)
        except RateLimited:
            raise
        except GitHubError:
            problems = ()
        return " ".join(problems) or fallback

    async def poll(self, context: RepositoryContext, spec: AgentBase, effect: PollAgent) -> AgentSeen | None:
        """Read the assignment, the draft that Copilot opens, and the review that it asks for at its end."""
        account_id = _account_id(spec)
        try:
            history = await context.github.list_issue_events(context.repository, effect.number)
        except (NotFound, Gone):
            return None
        assignment = _last_assignment(history, account_id)
        if effect.session is not None and (assignment is None or effect.session != str(assignment.id)):
            if effect.session not in {str(event.id) for event in history}:
                return None
            return AgentSeen(
                effect.attempt, SessionState.CANCELLED, context.now, effect.session, detail="was unassigned"
            )
        if assignment is None or (effect.session is None and not _is_assigned_since(assignment, effect.since)):
            return None
        session, assigned_at = str(assignment.id), assignment.created_at
        for pull in await list_agent_pulls(context, account_id, effect.number, assigned_at):
            return await self._working_signal(context, effect, session, assigned_at, pull)
        started_at = await _started_at(context, effect.number, account_id, assigned_at)
        if started_at and context.now - assigned_at <= WORK_TIMEOUT:
            return AgentSeen(effect.attempt, SessionState.WORKING, started_at, session)
        if context.now - assigned_at <= START_TIMEOUT:
            return AgentSeen(effect.attempt, SessionState.QUEUED, assigned_at, session)
        return None

    async def _working_signal(
        self, context: RepositoryContext, effect: PollAgent, session: str, assigned_at: datetime, pull: PullRequest
    ) -> AgentSeen:
        state, detail = SessionState.WORKING, ""
        if not pull.draft or pull.requested_reviewers:
            state = SessionState.DELIVERED
        elif any(
            event.event == FAILED_EVENT
            for event in await context.github.list_issue_events(context.repository, pull.number)
        ):
            state, detail = SessionState.FAILED, "stopped with an error"
        elif context.now - assigned_at > WORK_TIMEOUT:
            state, detail = SessionState.TIMED_OUT, "ran into its limit of an hour"
        return AgentSeen(effect.attempt, state, pull.updated_at, session, pull.html_url, detail, pull.number)

    async def send_message(self, context: RepositoryContext, spec: AgentBase, effect: MessageAgent) -> bool:
        """Mention it on its pull request; it does not read comments on the issue."""
        user_client = context.services.user_client
        if user_client is None or user_client.is_app_token:
            return False
        for pull in await list_agent_pulls(context, _account_id(spec), effect.number, effect.since):
            key = message_key(effect.number, effect.attempt, effect.text)
            user = await user_client.get_current_user()
            await write_once(context, user_client, user.id, pull.number, key, addressed_text(MENTION, effect.text))
            return True
        return False

    async def cancel(self, context: RepositoryContext, spec: AgentBase, effect: CancelAgent) -> None:
        """Remove the assignment, unless a later attempt has assigned it again."""
        try:
            assignment = await _current_assignment(context, effect.number, _account_id(spec))
            if assignment is None or effect.session not in (None, str(assignment.id)):
                return
            user_client = context.services.user_client
            writer = context.github if user_client is None or user_client.is_app_token else user_client
            await writer.remove_assignees(context.repository, effect.number, [LOGIN])
        except (NotFound, Gone):
            return


def _account_id(spec: AgentBase) -> int:
    account_id = agent_account_id("copilot", spec)
    if not isinstance(spec, CopilotAgent) or account_id is None:
        raise CannotStart(f"the Copilot adapter cannot start an agent of kind {type(spec).__name__}")
    return account_id


def _require_user_client(context: RepositoryContext) -> UserClient:
    if context.services.user_client is None:
        raise CannotStart(_NO_PERSON)
    if context.services.user_client.is_app_token:
        raise CannotStart(_USES_APP)
    return context.services.user_client


async def _current_assignment(context: RepositoryContext, number: int, account_id: int) -> IssueEvent | None:
    """The line of the history by which Copilot is assigned now, if it is."""
    return _last_assignment(await context.github.list_issue_events(context.repository, number), account_id)


def _last_assignment(history: Sequence[IssueEvent], account_id: int) -> IssueEvent | None:
    assignment: IssueEvent | None = None
    for event in history:
        if _is_account(event.assignee, account_id):
            assignment = event if event.event == "assigned" else None if event.event == "unassigned" else assignment
    return assignment


def _is_assigned_since(assignment: IssueEvent, start_time: datetime | None) -> bool:
    """Whether it was assigned for the attempt that began then: nothing but the time tells, where no session does."""
    return start_time is not None and assignment.created_at >= truncate_to_second(start_time)


async def _started_at(
    context: RepositoryContext, number: int, account_id: int, assigned_at: datetime
) -> datetime | None:
    """When it put its eyes on the issue, for this assignment."""
    for reaction in await context.github.list_issue_reactions(context.repository, number):
        if reaction.content == "eyes" and _is_account(reaction.user, account_id) and reaction.created_at:
            return reaction.created_at if reaction.created_at >= assigned_at else None
    return None


def _is_account(user: User | None, account_id: int) -> bool:
    return user is not None and user.id == account_id


def _start_result(context: RepositoryContext, number: int, event: IssueEvent) -> StartResult:
    return StartResult(str(event.id), f"{context.server_url.rstrip('/')}/{context.repository}/issues/{number}")
