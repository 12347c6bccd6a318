"""Starts agents that listen to a name in comments (`@codex`, `@cursor`, `@claude`).

The hand-off is a comment with the name in it, and the id of that comment is the session. Such agents answer by an
account of their own: with 👀 on the comment, with comments, with a pull request from their own branch. Some ignore
bots; with `comment_as: person` the comment is written as a person.
"""

from __future__ import annotations

from datetime import timedelta

from adapters.agents.base import CannotStart, RepositoryContext, Started
from adapters.agents.handoff_comments import pulls_of, steering_key, write_once, write_pages
from adapters.github.errors import Forbidden, Gone, Invalid, NotFound, Unauthorised
from adapters.github.issues import IssueOperations
from adapters.github.models import Comment, User
from config.agent_kinds import AgentBase, MentionAgent
from config.identities import agent_account_id
from core.effects.base import CancelAgent, MessageAgent, PollAgent, StartAgent
from core.signals.base import AgentSeen
from core.task.model import SessionState
from core.texts import HANDOFF_PAGE_LIMIT, addressed_text, comment_marker, mention_comment, stop_comment

# These agents work for minutes and show little: one that was silent for this long is gone.
QUIET_FOR = timedelta(hours=1)

_NO_PERSON = (
    "`comment_as: person` needs a user token: set `GITHUB_USER_TOKEN`, or let the App write (`comment_as: app`)."
)
_AN_APP = (
    "`GITHUB_USER_TOKEN` is the token of an App, so `comment_as: person` cannot work: set a personal access token."
)
_EXPIRED = "GitHub does not accept `GITHUB_USER_TOKEN`: it is expired or revoked. Create a new one."


class MentionAdapter:
    """Calls agents by their name."""

    async def probe(self, site: RepositoryContext, spec: AgentBase) -> tuple[str, ...]:
        """Whether an account can write the comment. Only the agent's answer shows whether it listens."""
        settings, person = _settings(spec), site.services.person
        if settings.comment_as == "app":
            return ()
        if person is None:
            return (_NO_PERSON,)
        if person.is_app_token:
            return (_AN_APP,)
        try:
            await person.get_current_user()
        except (Unauthorised, Forbidden):
            return (_EXPIRED,)
        return ()

    async def start(self, site: RepositoryContext, spec: AgentBase, order: StartAgent, *, again: bool) -> Started:
        """Write the comment that calls it, once."""
        settings = _settings(spec)
        if problems := await self.probe(site, spec):
            raise CannotStart(" ".join(problems))
        writer, author = await _writer(site, settings)
        pages = await write_pages(site, order.packet, order.number, order.attempt, HANDOFF_PAGE_LIMIT)
        text = mention_comment(order.packet, settings.mention, pages)
        try:
            said = await write_once(site, writer, author, order.number, _key(order.number, order.attempt), text)
        except (Forbidden, Invalid, Gone) as error:
            raise CannotStart(f"GitHub refused the comment that mentions {settings.mention}: {error}") from error
        return Started(str(said.id), said.html_url)

    async def poll(self, site: RepositoryContext, spec: AgentBase, order: PollAgent) -> AgentSeen | None:
        """Look for its pull request, its reaction and its comments since it was called."""
        settings = _settings(spec)
        try:
            said = await _call(site, settings, order.number, order.attempt, order.session)
            if said is None:
                return None
            account = agent_account_id(order.agent, spec)
            if account is not None:
                for pull in await pulls_of(site, account, order.number, said.created_at):
                    state = SessionState.WORKING if pull.draft else SessionState.DELIVERED
                    return AgentSeen(
                        order.attempt, state, pull.updated_at, str(said.id), pull.html_url, pull=pull.number
                    )
            since = await site.github.list_comments(site.repository, order.number, since=said.created_at)
            if any(_is_ours(comment, said, _stop_key(order.number, order.attempt)) for comment in since):
                ended = SessionState.CANCELLED
                return AgentSeen(order.attempt, ended, site.now, str(said.id), said.html_url, "was asked to stop")
            reactions = await site.github.list_comment_reactions(site.repository, said.id)
            signs = [
                *(r.created_at for r in reactions if r.created_at and _is_its(r.user, account)),
                *(c.updated_at for c in since if _is_its(c.user, account) and c.user and c.user.id != site.bot_id),
            ]
        except (NotFound, Gone):
            return None
        last = max(signs, default=None)
        if last is None or site.now - last > QUIET_FOR:
            return None
        return AgentSeen(order.attempt, SessionState.WORKING, last, str(said.id), said.html_url)

    async def steer(self, site: RepositoryContext, spec: AgentBase, order: MessageAgent) -> bool:
        """Speak to it below its pull request, or below the issue while there is none."""
        settings = _settings(spec)
        try:
            if await _call(site, settings, order.number, order.attempt, order.session) is None:
                return False
        except (NotFound, Gone):
            return False
        writer, author = await _writer(site, settings)
        account = agent_account_id(order.agent, spec)
        pulls = await pulls_of(site, account, order.number, order.since) if account is not None else []
        where = pulls[0].number if pulls else order.number
        key = steering_key(order.number, order.attempt, order.text)
        await write_once(site, writer, author, where, key, addressed_text(settings.mention, order.text))
        return True

    async def cancel(self, site: RepositoryContext, spec: AgentBase, order: CancelAgent) -> None:
        """Ask it to stop, once, and only if it was called."""
        settings = _settings(spec)
        try:
            if await _call(site, settings, order.number, order.attempt, order.session) is None:
                return
            writer, author = await _writer(site, settings)
            text = stop_comment(settings.mention, order.number, order.attempt)
            await write_once(site, writer, author, order.number, _stop_key(order.number, order.attempt), text)
        except (NotFound, Gone):
            return


def _settings(spec: AgentBase) -> MentionAgent:
    if not isinstance(spec, MentionAgent):
        raise CannotStart(f"the mention adapter cannot start an agent of kind {type(spec).__name__}")
    return spec


async def _writer(site: RepositoryContext, settings: MentionAgent) -> tuple[IssueOperations, int]:
    """Who writes the comments, and their numeric id."""
    if settings.comment_as == "app":
        return site.github, site.bot_id
    if site.services.person is None or site.services.person.is_app_token:
        raise CannotStart(_NO_PERSON)
    return site.services.person, (await site.services.person.get_current_user()).id


def _stop_key(number: int, attempt: int) -> str:
    return f"stop:{number}:{attempt}"


def _is_ours(comment: Comment, call: Comment, key: str) -> bool:
    """Whether this is a comment with that key, of the author of the call."""
    same = comment.user is not None and call.user is not None and comment.user.id == call.user.id
    return same and comment.body.rstrip().endswith(comment_marker(key))


def _key(number: int, attempt: int) -> str:
    return f"mention:{number}:{attempt}"


async def _call(
    site: RepositoryContext, settings: MentionAgent, number: int, attempt: int, session: str | None
) -> Comment | None:
    """The comment by which it was called to this attempt."""
    if session is not None:
        return await site.github.get_comment(site.repository, int(session))
    _, author = await _writer(site, settings)
    marker = comment_marker(_key(number, attempt))
    for comment in await site.github.list_comments(site.repository, number):
        if comment.user and comment.user.id == author and comment.body.rstrip().endswith(marker):
            return comment
    return None


def _is_its(user: User | None, account: int | None) -> bool:
    """Whether this is the agent; where its account is not known, any bot may be it."""
    if user is None:
        return False
    return user.id == account if account is not None else user.type == "Bot"
