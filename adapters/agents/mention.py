"""Starts agents that listen to a name in comments (`@codex`, `@cursor`, `@claude`).

The hand-off is a comment with the name in it, and the id of that comment is the session. Such agents answer by an
account of their own: with 👀 on the comment, with comments, with a pull request from their own branch. Some ignore
bots; with `comment_as: person` the comment is written as a person.
"""

from __future__ import annotations

from datetime import timedelta

from adapters.agents.base import CannotStart, RepositoryContext, StartResult
from adapters.agents.handoff_comments import list_agent_pulls, message_key, write_handoff_pages, write_once
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
MAX_SILENCE = timedelta(hours=1)

_NO_PERSON = (
    "`comment_as: person` needs a user token: set `GITHUB_USER_TOKEN`, or let the App write (`comment_as: app`)."
)
_USES_APP = (
    "`GITHUB_USER_TOKEN` is the token of an App, so `comment_as: person` cannot work: set a personal access token."
)
_EXPIRED = "GitHub does not accept `GITHUB_USER_TOKEN`: it is expired or revoked. Create a new one."


class MentionAdapter:
    """Calls agents by their name."""

    async def probe(self, context: RepositoryContext, spec: AgentBase) -> tuple[str, ...]:
        """Whether an account can write the comment. Only the agent's answer shows whether it listens."""
        settings, user_client = _settings(spec), context.services.user_client
        if settings.comment_as == "app":
            return ()
        if user_client is None:
            return (_NO_PERSON,)
        if user_client.is_app_token:
            return (_USES_APP,)
        try:
            await user_client.get_current_user()
        except (Unauthorised, Forbidden):
            return (_EXPIRED,)
        return ()

    async def start(
        self, context: RepositoryContext, spec: AgentBase, effect: StartAgent, *, is_retry: bool
    ) -> StartResult:
        """Write the comment that calls it, once."""
        settings = _settings(spec)
        if problems := await self.probe(context, spec):
            raise CannotStart(" ".join(problems))
        writer, author_id = await _writer(context, settings)
        pages = await write_handoff_pages(context, effect.packet, effect.number, effect.attempt, HANDOFF_PAGE_LIMIT)
        text = mention_comment(effect.packet, settings.mention, pages)
        try:
            comment = await write_once(
                context, writer, author_id, effect.number, _mention_key(effect.number, effect.attempt), text
            )
        except (Forbidden, Invalid, Gone) as error:
            raise CannotStart(f"GitHub refused the comment that mentions {settings.mention}: {error}") from error
        return StartResult(str(comment.id), comment.html_url)

    async def poll(self, context: RepositoryContext, spec: AgentBase, effect: PollAgent) -> AgentSeen | None:
        """Look for its pull request, its reaction and its comments since it was called."""
        settings = _settings(spec)
        try:
            mention = await _find_mention(context, settings, effect.number, effect.attempt, effect.session)
            if mention is None:
                return None
            account_id = agent_account_id(effect.agent, spec)
            if account_id is not None:
                for pull in await list_agent_pulls(context, account_id, effect.number, mention.created_at):
                    state = SessionState.WORKING if pull.draft else SessionState.DELIVERED
                    return AgentSeen(
                        effect.attempt, state, pull.updated_at, str(mention.id), pull.html_url, pull_number=pull.number
                    )
            comments = await context.github.list_comments(context.repository, effect.number, since=mention.created_at)
            if any(_is_own_comment(comment, mention, _stop_key(effect.number, effect.attempt)) for comment in comments):
                cancelled = SessionState.CANCELLED
                return AgentSeen(
                    effect.attempt, cancelled, context.now, str(mention.id), mention.html_url, "was asked to stop"
                )
            reactions = await context.github.list_comment_reactions(context.repository, mention.id)
            activity_times = [
                *(r.created_at for r in reactions if r.created_at and _is_by_agent(r.user, account_id)),
                *(
                    c.updated_at
                    for c in comments
                    if _is_by_agent(c.user, account_id) and c.user and c.user.id != context.bot_id
                ),
            ]
        except (NotFound, Gone):
            return None
        last_activity_at = max(activity_times, default=None)
        if last_activity_at is None or context.now - last_activity_at > MAX_SILENCE:
            return None
        return AgentSeen(effect.attempt, SessionState.WORKING, last_activity_at, str(mention.id), mention.html_url)

    async def send_message(self, context: RepositoryContext, spec: AgentBase, effect: MessageAgent) -> bool:
        """Speak to it below its pull request, or below the issue while there is none."""
        settings = _settings(spec)
        try:
            if await _find_mention(context, settings, effect.number, effect.attempt, effect.session) is None:
                return False
        except (NotFound, Gone):
            return False
        writer, author_id = await _writer(context, settings)
        account_id = agent_account_id(effect.agent, spec)
        pulls = (
            await list_agent_pulls(context, account_id, effect.number, effect.since) if account_id is not None else []
        )
        target_number = pulls[0].number if pulls else effect.number
        key = message_key(effect.number, effect.attempt, effect.text)
        await write_once(context, writer, author_id, target_number, key, addressed_text(settings.mention, effect.text))
        return True

    async def cancel(self, context: RepositoryContext, spec: AgentBase, effect: CancelAgent) -> None:
        """Ask it to stop, once, and only if it was called."""
        settings = _settings(spec)
        try:
            if await _find_mention(context, settings, effect.number, effect.attempt, effect.session) is None:
                return
            writer, author_id = await _writer(context, settings)
            text = stop_comment(settings.mention, effect.number, effect.attempt)
            await write_once(context, writer, author_id, effect.number, _stop_key(effect.number, effect.attempt), text)
        except (NotFound, Gone):
            return


def _settings(spec: AgentBase) -> MentionAgent:
    if not isinstance(spec, MentionAgent):
        raise CannotStart(f"the mention adapter cannot start an agent of kind {type(spec).__name__}")
    return spec


async def _writer(context: RepositoryContext, settings: MentionAgent) -> tuple[IssueOperations, int]:
    """Who writes the comments, and their numeric id."""
    if settings.comment_as == "app":
        return context.github, context.bot_id
    if context.services.user_client is None or context.services.user_client.is_app_token:
        raise CannotStart(_NO_PERSON)
    return context.services.user_client, (await context.services.user_client.get_current_user()).id


def _stop_key(number: int, attempt: int) -> str:
    return f"stop:{number}:{attempt}"


def _is_own_comment(comment: Comment, mention: Comment, key: str) -> bool:
    """Whether this is a comment with that key, of the author of the call."""
    is_same_author = comment.user is not None and mention.user is not None and comment.user.id == mention.user.id
    return is_same_author and comment.body.rstrip().endswith(comment_marker(key))


def _mention_key(number: int, attempt: int) -> str:
    return f"mention:{number}:{attempt}"


async def _find_mention(
    context: RepositoryContext, settings: MentionAgent, number: int, attempt: int, session: str | None
) -> Comment | None:
    """The comment by which it was called to this attempt."""
    if session is not None:
        return await context.github.get_comment(context.repository, int(session))
    _, author_id = await _writer(context, settings)
    marker = comment_marker(_mention_key(number, attempt))
    for comment in await context.github.list_comments(context.repository, number):
        if comment.user and comment.user.id == author_id and comment.body.rstrip().endswith(marker):
            return comment
    return None


def _is_by_agent(user: User | None, account_id: int | None) -> bool:
    """Whether this is the agent; where its account is not known, any bot may be it."""
    if user is None:
        return False
    return user.id == account_id if account_id is not None else user.type == "Bot"
