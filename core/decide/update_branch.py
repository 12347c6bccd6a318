"""Updates a pull request's branch from its base if the configuration asks for it, and handles the result.

`core.decide.commands.rebase` handles the request of a person.
"""

from __future__ import annotations

import re

from core.decide import conflicts
from core.decide.builder import DecisionBuilder
from core.decide.commands.base import failure_reply
from core.decide.completion import evaluate_completion
from core.effects.base import MessageAgent, UpdateBranch
from core.signals.base import BranchUpdateDone, MergeRefused, TrialMergeDone
from core.task.model import Flag, Lease, Pull, Status, Task
from core.text_safety.sanitize import defuse, mask_secrets, one_line
from core.texts import base_update_message
from core.texts.replies import update_text

# How GitHub says that a protected branch must be up to date: "Head branch is out of date. Review and try the merge
# again.", "The head branch is not up to date with the base branch". (That the *base* was modified is a race.)
_BEHIND_PATTERN = re.compile(r"\b(out of date|out-of-date|not up to date|not up-to-date)\b", re.IGNORECASE)


def is_behind(reason: str) -> bool:
    """Whether GitHub refused a merge because the branch lacks commits of its base."""
    return _BEHIND_PATTERN.search(reason) is not None


def _agents_pull(task: Task) -> Pull | None:
    """The open pull request of a task in review, if an agent wrote it: people update their own."""
    pull, lease = task.pull, task.lease
    is_agents = lease is not None and lease.worker is not None
    return pull if pull and pull.open and is_agents and task.status is Status.REVIEW else None


def _request_update(builder: DecisionBuilder, pull: Pull) -> None:
    base_sha = pull.trial_base_sha or ""
    builder.update_pull(requested_update=f"{pull.head_sha}:{base_sha}")
    number = builder.task.number
    builder.add_effect(UpdateBranch(number, pull.number, pull.branch, pull.base, pull.head_sha, base_sha))


def on_trial_merge_done(builder: DecisionBuilder, signal: TrialMergeDone) -> None:
    """After a trial merge: update the branch if the configuration keeps all branches up to date.

    A pull request that is about to be merged or is held is left out, because its checks would run again for nothing.
    """
    conflicts.apply_trial_merge(builder, signal)
    pull = _agents_pull(builder.task)
    if builder.policy.merge.update != "always" or pull is None or pull.draft or builder.task.hold:
        return
    tried_state = (pull.number, pull.head_sha, pull.trial_base_sha)
    if not signal.is_behind or tried_state != (signal.pull_number, signal.head_sha, signal.base_sha):
        return
    if pull.mergeable_sha == pull.head_sha and pull.merge_requested_sha != pull.head_sha:
        _request_update(builder, pull)


def on_merge_refused(builder: DecisionBuilder, signal: MergeRefused) -> None:
    """GitHub refused to merge. If the branch is behind its base, updating it helps."""
    pull = _agents_pull(builder.task)
    branch_is_behind = is_behind(signal.reason)
    if branch_is_behind and builder.policy.merge.update != "never" and pull is not None:
        is_current = (pull.number, pull.head_sha) == (signal.pull_number, signal.head_sha)
        if is_current and pull.requested_update != f"{pull.head_sha}:{pull.trial_base_sha or ''}":
            _request_update(builder, pull)
            return
    previous_reason = builder.task.flags.get(Flag.BLOCKED)
    conflicts.apply_merge_refusal(builder, signal)
    reason = builder.task.flags.get(Flag.BLOCKED)
    if branch_is_behind and reason and reason != previous_reason:
        builder.task = builder.task.with_flag(
            Flag.BLOCKED, f"{reason} To update the branch, comment `/resolve rebase`."
        )


def on_branch_update_done(builder: DecisionBuilder, signal: BranchUpdateDone) -> None:
    """Apply the result of a branch update: if it failed, tell the user who asked for it."""
    effect, pull = signal.effect, builder.task.pull
    is_current = pull is not None and (pull.number, pull.head_sha) == (effect.pull_number, effect.head_sha)
    lease = _working_lease(builder.task) if pull and pull.number == effect.pull_number else None
    if lease and (signal.outcome == "done" or signal.trial_merge):
        merged = signal.trial_merge
        topic = f"{signal.outcome}:{effect.head_sha}:{merged.base_sha if merged else effect.base_sha}"
        text = base_update_message(effect, lease, merged.trial_merge if merged else None)
        builder.add_effect(
            MessageAgent(builder.task.number, lease.attempt, lease.agent, lease.session, lease.since, topic, text)
        )
    if signal.outcome == "done":
        return  # the new head causes its own event
    if request := effect.command:
        text = update_text(signal, lease, is_sent_back=builder.task.status is Status.REVIEW)
        builder.add_effect(*failure_reply(request, text))
        return
    if not is_current or pull is None or pull.merge_requested_sha != pull.head_sha:
        return
    if signal.outcome == "current":
        # GitHub's statement that it is behind was outdated; if it repeats it, a person must see it.
        builder.update_pull(merge_requested_sha=None)
        evaluate_completion(builder)
    elif signal.outcome == "refused":
        reason = defuse(one_line(mask_secrets(signal.reason), 300))
        text = f"#{pull.number} is behind `{pull.base}`, and GitHub did not update it: {reason}"
        builder.task = builder.task.with_flag(Flag.BLOCKED, text)


def _working_lease(task: Task) -> Lease | None:
    """The lease of the agent that works on the branch now."""
    lease = task.lease
    return lease if lease and lease.worker is not None and task.status is Status.IN_PROGRESS else None
