"""Senders about merging: the trial on the local mirror, and the merge itself."""

from __future__ import annotations

from typing import cast

from adapters.effects.errand import Errand, Sent
from adapters.git import GitError, MergeError, holds, merge_tree, touched_files
from adapters.github.errors import Conflict, Forbidden, Invalid, NotFound
from adapters.github.pulls import MergeMethod
from adapters.pull_facts import pull_facts
from core.effects import MarkReady, MergePull, TryMerge
from core.sanitise import mask_secrets, one_line
from core.signals import MergeRefused, MergeTried, PullSeen

MAX_FILES = 200  # names of changed files that are kept of one pull request


async def try_merge(effect: TryMerge, errand: Errand) -> Sent:
    """Merge head and base on the mirror. A verdict is for exactly the commits it names."""
    base = f"refs/heads/{effect.base}"
    head = f"refs/pull/{effect.pull_number}/head"
    head_sha, base_sha = effect.head_sha, ""
    try:
        mirror = errand.mirrors.of(errand.repository)
        commits = await mirror.fetch([base, head], await errand.github.git_token())
        base_sha = commits[base] or ""
        if not base_sha:
            raise MergeError(f"there is no branch {effect.base}")
        if commits[head] != effect.head_sha:
            # Another push came in between; its own news asks for another trial.
            raise MergeError("the head has moved meanwhile")
        result = await merge_tree(mirror, base_sha, head_sha, lines=False)
        touched = await touched_files(mirror, base_sha, head_sha)
        behind = not await holds(mirror, head_sha, base_sha)
    except (GitError, MergeError, TimeoutError) as error:
        problem = one_line(mask_secrets(str(error)), 300)
        tried = MergeTried(effect.pull_number, head_sha, base_sha, None, problem=problem)
    else:
        files = tuple(file.path for file in result.files)
        named = tuple(one_line(path, 300) for path in sorted(touched)[:MAX_FILES])
        tried = MergeTried(effect.pull_number, head_sha, base_sha, result.clean, files, touched=named, behind=behind)
    return Sent(signals=((effect.number, tried),))


async def mark_ready(effect: MarkReady, errand: Errand) -> Sent:
    """Make a draft ready, unless it is; how it is then is read, so that a lost delivery delays nothing."""
    await errand.github.mark_ready(errand.name, effect.pull_number)
    now = await errand.github.get_pull(errand.name, effect.pull_number)
    return Sent(signals=((effect.number, PullSeen(pull_facts(now), None, author_can_write=False)),))


async def merge_pull(effect: MergePull, errand: Errand) -> Sent:
    """Merge, bound to the head; afterwards the pull request is read, so that a lost delivery delays nothing."""
    github, name = errand.github, errand.name
    pull = await github.get_pull(name, effect.pull_number) if errand.again else None
    if pull is None or not pull.merged:
        try:
            await github.merge_pull(
                name,
                effect.pull_number,
                sha=effect.sha,
                method=cast("MergeMethod", effect.method),
                title=effect.title,
            )
        except (Conflict, Forbidden, Invalid, NotFound) as error:
            reason = one_line(error.message, 300)
            refused = MergeRefused(effect.pull_number, effect.sha, reason)
            return Sent(signals=((effect.number, refused),))
    merged = await github.get_pull(name, effect.pull_number)
    seen = PullSeen(pull_facts(merged), None, author_can_write=False)
    return Sent(signals=((effect.number, seen),))
