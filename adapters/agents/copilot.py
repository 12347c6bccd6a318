"""Starts GitHub's own coding agent by assigning the issue to it.

GitHub allows a person to do that, but no App: an App's token is refused, sometimes silently. So the assignment uses the
token of a person (GITHUB_USER_TOKEN); everything else is read as the App. Every assignment is an event in the issue's
timeline, and the id of that event is the session, which distinguishes it from later assignments.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from adapters.agents.base import CannotStart, RepositoryContext, Started
from adapters.agents.handoff_comments import pulls_of, second, steering_key, write_once, write_pages
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
BEGINS_WITHIN = timedelta(minutes=15)
WORKS_FOR = timedelta(minutes=65)
# What it writes into the history of its pull request. Known second-hand: where these never come, the request for a
# review and the time tell the same.
FAILED_EVENT = "copilot_work_finished_failure"

_NO_PERSON = (
    "Only a user can assign Copilot, and this service has no user token: set `GITHUB_USER_TOKEN` to a personal "
    "access token with write access to this repository."
)
_AN_APP = (
    "`GITHUB_USER_TOKEN` is the token of an App, and GitHub does not let Apps assign Copilot: set it to a "
    "personal access "
    "token (`github_pat_…` or `ghp_…`)."
)
_EXPIRED = "GitHub does not accept `GITHUB_USER_TOKEN`: it is expired or revoked. Create a new one."
_NOT_SEEN = "The user of `GITHUB_USER_TOKEN` cannot see this repository: give the user and the token write access."
_NO_WRITE = (
    "The user of `GITHUB_USER_TOKEN` has no write access to this repository: grant it, because Copilot requires it."
)
_NOT_ENABLED = (
    "Copilot cannot be assigned here: enable its coding agent for this repository, and check that the user of "
    "`GITHUB_USER_TOKEN` has a plan that includes it. A fine-grained token needs *actions*, *contents*, *issues* and "
    "*pull requests*: read and write."
)


class CopilotAdapter:
    """Assigns issues to Copilot."""

    async def probe(self, site: RepositoryContext, spec: AgentBase) -> tuple[str, ...]:
        """Whether there is a person's token, and whether that person may assign Copilot here."""
        person, account = site.services.person, _account(spec)
        if person is None:
            return (_NO_PERSON,)
        if person.is_app_token:
            return (_AN_APP,)
        try:
            may = await person.get_assignable(site.repository)
        except Unauthorised:
            return (_EXPIRED,)
        except (NotFound, Forbidden):
            return (_NOT_SEEN,)
        problems = []
        if may.permission not in ("WRITE", "MAINTAIN", "ADMIN"):
            problems.append(_NO_WRITE)
        if account not in may.actors and LOGIN.removesuffix("[bot]") not in may.actors.values():
            problems.append(_NOT_ENABLED)
        return tuple(problems)

    async def start(self, site: RepositoryContext, spec: AgentBase, order: StartAgent, *, again: bool) -> Started:
        """Assign Copilot with the hand-off as its instructions, unless this attempt did so already."""
        account, person = _account(spec), _person(site)
        held = await _assignment(site, order.number, account)
        if again and held and _is_since(held, order.since):
            return _started(site, order.number, held)
        pages = await write_pages(site, order.packet, order.number, order.attempt, INSTRUCTIONS_LIMIT)
        try:
            if held:
                # Assigned by an earlier attempt: it would not start again without being removed first.
                await person.remove_assignees(site.repository, order.number, [LOGIN])
            agent = {
                "target_repo": site.repository,
                "base_branch": str(order.packet["base"]),
                "custom_instructions": instructions_text(order.packet, pages),
            }
            await person.add_assignees(site.repository, order.number, [LOGIN], agent=agent)
        except (Unauthorised, Forbidden, NotFound, Gone, Invalid) as error:
            raise CannotStart(await self._advice(site, spec, f"GitHub refused to assign Copilot: {error}")) from error
        now = await _assignment(site, order.number, account)
        if now is None or (held and now.id == held.id):
            raise CannotStart(await self._advice(site, spec, "GitHub accepted the request but did not assign Copilot."))
        return _started(site, order.number, now)

    async def _advice(self, site: RepositoryContext, spec: AgentBase, otherwise: str) -> str:
        try:
            problems = await self.probe(site, spec)
        except RateLimited:
            raise
        except GitHubError:
            problems = ()
        return " ".join(problems) or otherwise

    async def poll(self, site: RepositoryContext, spec: AgentBase, order: PollAgent) -> AgentSeen | None:
        """Read the assignment, the draft that Copilot opens, and the review that it asks for at its end."""
        account = _account(spec)
        try:
            history = await site.github.list_issue_events(site.repository, order.number)
        except (NotFound, Gone):
            return None
        held = _current(history, account)
        if order.session is not None and (held is None or order.session != str(held.id)):
            if order.session not in {str(event.id) for event in history}:
                return None
            return AgentSeen(order.attempt, SessionState.CANCELLED, site.now, order.session, detail="was unassigned")
        if held is None or (order.session is None and not _is_since(held, order.since)):
            return None
        session, since = str(held.id), held.created_at
        for pull in await pulls_of(site, account, order.number, since):
            return await self._at_work(site, order, session, since, pull)
        begun = await _has_begun(site, order.number, account, since)
        if begun and site.now - since <= WORKS_FOR:
            return AgentSeen(order.attempt, SessionState.WORKING, begun, session)
        if site.now - since <= BEGINS_WITHIN:
            return AgentSeen(order.attempt, SessionState.QUEUED, since, session)
        return None

    async def _at_work(
        self, site: RepositoryContext, order: PollAgent, session: str, since: datetime, pull: PullRequest
    ) -> AgentSeen:
        state, detail = SessionState.WORKING, ""
        if not pull.draft or pull.requested_reviewers:
            state = SessionState.DELIVERED
        elif any(e.event == FAILED_EVENT for e in await site.github.list_issue_events(site.repository, pull.number)):
            state, detail = SessionState.FAILED, "stopped with an error"
        elif site.now - since > WORKS_FOR:
            state, detail = SessionState.TIMED_OUT, "ran into its limit of an hour"
        return AgentSeen(order.attempt, state, pull.updated_at, session, pull.html_url, detail, pull.number)

    async def steer(self, site: RepositoryContext, spec: AgentBase, order: MessageAgent) -> bool:
        """Mention it on its pull request; it does not read comments on the issue."""
        person = site.services.person
        if person is None or person.is_app_token:
            return False
        for pull in await pulls_of(site, _account(spec), order.number, order.since):
            key = steering_key(order.number, order.attempt, order.text)
            me = await person.get_current_user()
            await write_once(site, person, me.id, pull.number, key, addressed_text(MENTION, order.text))
            return True
        return False

    async def cancel(self, site: RepositoryContext, spec: AgentBase, order: CancelAgent) -> None:
        """Remove the assignment, unless a later attempt has assigned it again."""
        try:
            held = await _assignment(site, order.number, _account(spec))
            if held is None or order.session not in (None, str(held.id)):
                return
            person = site.services.person
            writer = site.github if person is None or person.is_app_token else person
            await writer.remove_assignees(site.repository, order.number, [LOGIN])
        except (NotFound, Gone):
            return


def _account(spec: AgentBase) -> int:
    account = agent_account_id("copilot", spec)
    if not isinstance(spec, CopilotAgent) or account is None:
        raise CannotStart(f"the Copilot adapter cannot start an agent of kind {type(spec).__name__}")
    return account


def _person(site: RepositoryContext) -> UserClient:
    if site.services.person is None:
        raise CannotStart(_NO_PERSON)
    if site.services.person.is_app_token:
        raise CannotStart(_AN_APP)
    return site.services.person


async def _assignment(site: RepositoryContext, number: int, account: int) -> IssueEvent | None:
    """The line of the history by which Copilot is assigned now, if it is."""
    return _current(await site.github.list_issue_events(site.repository, number), account)


def _current(history: Sequence[IssueEvent], account: int) -> IssueEvent | None:
    there: IssueEvent | None = None
    for event in history:
        if _is(event.assignee, account):
            there = event if event.event == "assigned" else None if event.event == "unassigned" else there
    return there


def _is_since(held: IssueEvent, moment: datetime | None) -> bool:
    """Whether it was assigned for the attempt that began then: nothing but the time tells, where no session does."""
    return moment is not None and held.created_at >= second(moment)


async def _has_begun(site: RepositoryContext, number: int, account: int, since: datetime) -> datetime | None:
    """When it put its eyes on the issue, for this assignment."""
    for reaction in await site.github.list_issue_reactions(site.repository, number):
        if reaction.content == "eyes" and _is(reaction.user, account) and reaction.created_at:
            return reaction.created_at if reaction.created_at >= since else None
    return None


def _is(user: User | None, account: int) -> bool:
    return user is not None and user.id == account


def _started(site: RepositoryContext, number: int, event: IssueEvent) -> Started:
    return Started(str(event.id), f"{site.server_url.rstrip('/')}/{site.repository}/issues/{number}")
