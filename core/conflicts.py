"""What is known of a task's conflicts, from its own state. Branches in flight are not compared with each other yet."""

from __future__ import annotations

from collections.abc import Collection

from core.task import Flag, Task


def conflicts_of(task: Task, twins: Collection[int] = ()) -> tuple[str, ...]:
    """One sentence for each conflict; `twins` are open tasks that ask for the same."""
    found = [task.flags[Flag.CONFLICT]] if Flag.CONFLICT in task.flags else []
    last = task.history[-1].feedback if task.history else None
    if task.lease is None and last and last.key.startswith("conflict:"):
        found.append(f"The last attempt ended with a conflict: {last.title}.")
    found += [f"It asks for the same as #{number}." for number in sorted(twins)]
    return tuple(found)


def trial_of(task: Task) -> str | None:
    """How the last trial merge of the pull request came out; None when there is no open one."""
    pull = task.pull
    if pull is None or not pull.open:
        return None
    if pull.mergeable_sha == pull.head_sha:
        known = pull.tried_base_sha is not None
        how = "merges cleanly with" if known else "could not be tried against"
        return f"#{pull.number} at `{pull.head_sha[:8]}` {how} `{pull.base}`."
    return f"#{pull.number} at `{pull.head_sha[:8]}` has not been merged with `{pull.base}` for a trial yet."
