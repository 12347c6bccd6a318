"""Runs `git merge-tree` for many pairs of commits, in as few processes as can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from adapters.git.merge_output import ParsedMerge, read_merges
from adapters.git.mirror import Mirror
from adapters.git.object_reader import ObjectReader
from adapters.git.process import GitError, GitTimeoutError

Pair = tuple[str, str]
_NO_COMMIT: Final = b"expected commit type"
_THROW_AWAY: Final = {"core.looseCompression": "0", "core.createObject": "rename"}
"""What is thrown away a moment later need not be small, nor be linked and unlinked: a third less time."""


class MergeError(Exception):
    """No verdict: a commit is not in the mirror, the histories are unrelated, or git failed. Never means
    conflict.
    """


class NoRoomError(MergeError):
    """What a merge wrote did not fit. If that was in memory, the mirror's next merges go to the disk: try again."""


class _Stopped(MergeError):
    """Git was stopped in the middle: by us, because it took too long, or by a mistake of its own."""


async def run_merges(
    mirror: Mirror, pairs: Sequence[Pair], environment: Mapping[str, str]
) -> list[ParsedMerge | MergeError]:
    """Merge each pair of commits; the results stand in the order of the pairs.

    A pair without a verdict has a MergeError in its place. Raises MergeError when git or the mirror is at fault.
    """
    results: list[ParsedMerge | MergeError] = []
    alone = False
    while len(results) < len(pairs):
        left = pairs[len(results) :]
        merged, failure = await _once(mirror, left[:1] if alone else left, environment)
        results += merged
        if isinstance(failure, _Stopped) and not alone:
            # Git holds back some of what it prints, so the first that is missing need not be the one to blame: it is
            # tried by itself, and then the rest goes on.
            alone = True
            continue
        alone = False
        if failure is not None:
            # git stops at the first pair it cannot merge; that one has no verdict, the rest get another run.
            results.append(failure)
    return results


async def _once(
    mirror: Mirror, pairs: Sequence[Pair], environment: Mapping[str, str]
) -> tuple[list[ParsedMerge], MergeError | None]:
    questions = "".join(f"{ours} {theirs}\n" for ours, theirs in pairs).encode()
    try:
        done = await mirror.git.run(
            "merge-tree",
            "--write-tree",
            "-z",
            "--stdin",
            git_dir=mirror.path,
            stdin=questions,
            environment=environment,
            config=_THROW_AWAY,
            ok=range(-64, 256),
        )
    except GitTimeoutError as error:
        try:
            return read_merges(error.output, whole=False)[: len(pairs) - 1], _Stopped(
                f"the merge took too long: {error.stderr}"
            )
        except ValueError as mistake:
            raise MergeError(f"git's output cannot be parsed: {mistake}") from error
    except GitError as error:
        raise MergeError(f"the merge cannot be tried: {error.stderr}") from error
    said = done.stderr.decode("utf-8", "replace").strip()[-500:]
    if b"No space left on device" in done.stderr:
        mirror.in_memory = False
        raise NoRoomError(f"there is no disk space for trial merges: {said}")
    if any(line.startswith(b"error:") and _NO_COMMIT not in line for line in done.stderr.splitlines()):
        # Before 2.44 git takes a tree it cannot read for an empty one, goes on, and calls the result clean.
        mirror.distrust()
        raise MergeError(f"the mirror is damaged; the next fetch creates it again: {said}")
    try:
        merged = read_merges(done.stdout, whole=done.exit == 0)
    except ValueError as error:
        raise MergeError(f"git's output cannot be parsed: {error}") from error
    if done.exit == 0:
        if len(merged) != len(pairs):
            raise MergeError(f"git answered {len(merged)} of {len(pairs)} merges")
        return merged, None
    if done.exit < 0 and len(merged) < len(pairs):
        # It was not told to stop: a mistake of its own, as versions up to 2.39 make in rare cases. The mirror is sound.
        return merged, _Stopped(f"git itself failed on this merge: {said or f'signal {-done.exit}'}")
    if len(merged) < len(pairs) and (lost := await _lost(mirror, pairs[len(merged)], environment)) is not None:
        return merged, MergeError(f"{lost[:200]!r} is not a commit that was fetched")
    if "unrelated histories" not in said:
        # Both commits are there, so something they need is not: the mirror has lost objects.
        mirror.distrust()
    if len(merged) >= len(pairs):
        raise MergeError(f"git merge-tree failed with status {done.exit}: {said}")
    return merged, MergeError(said or f"git merge-tree failed with status {done.exit}")


async def _lost(mirror: Mirror, pair: Pair, environment: Mapping[str, str]) -> str | None:
    """The first of the two that is no commit here."""
    reader = ObjectReader(mirror.git, mirror.path, environment)
    try:
        kinds = await reader.info(name.encode() for name in pair)
    finally:
        await reader.close()
    return next((name for name, info in zip(pair, kinds, strict=True) if info is None or info.kind != "commit"), None)
