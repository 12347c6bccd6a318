"""Converts GitHub's pull requests into the facts that the rules use."""

from __future__ import annotations

from adapters.github.models import PullRequest, User
from core.signals.base import PullFacts
from core.task.model import Actor

GHOST = Actor(id=10137, login="ghost")  # whom GitHub shows for deleted accounts


def actor(user: User | None) -> Actor:
    """Who did it; a deleted account is GitHub's `ghost`."""
    return Actor(user.id, user.login, user.type == "Bot") if user else GHOST


def pull_facts(pull: PullRequest) -> PullFacts:
    """What the rules need of a pull request."""
    return PullFacts(
        number=pull.number,
        title=pull.title,
        branch=pull.head.ref,
        base=pull.base.ref,
        head_sha=pull.head.sha,
        url=pull.html_url,
        author=actor(pull.user),
        open=pull.state == "open",
        draft=pull.draft,
        merged=pull.merged,
        merge_sha=pull.merge_commit_sha if pull.merged else None,
        from_fork=pull.is_from_fork,
        updated_at=pull.updated_at,
        opened_at=pull.created_at,
    )
