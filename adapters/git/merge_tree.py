"""Runs `git merge-tree` for many pairs of commits in few processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from adapters.git.merge_output import ParsedMerge, read_merges
from adapters.git.mirror import Mirror
from adapters.git.object_reader import ObjectReader
from adapters.git.process import GitError, GitLimitError, GitTimeoutError, parse_output

CommitPair = tuple[str, str]
_NO_COMMIT: Final = b"expected commit type"
_FAST_WRITE_CONFIG: Final = {"core.looseCompression": "0", "core.createObject": "rename"}
"""What is deleted a moment later need not be small, nor be linked and unlinked: a third less time."""


_MAX_MEMORY_BYTES: Final = 2 * 1024 * 1024 * 1024


class MergeError(Exception):
    """No verdict: a commit is not in the mirror, the histories are unrelated, or git failed. Never means
    conflict.
    """


class DiskFullError(MergeError):
    """What a merge wrote did not fit. If that was in memory, the mirror's next merges go to the disk: try again."""


class _MergeInterrupted(MergeError):
    """Git was stopped in the middle: by us, because it took too long, or by a mistake of its own."""


async def run_merges(
    mirror: Mirror, pairs: Sequence[CommitPair], environment: Mapping[str, str]
) -> list[ParsedMerge | MergeError]:
    """Merge each pair of commits; the results are in the order of the pairs.

    A pair without a verdict has a MergeError in its place. Raises MergeError when git or the mirror is at fault.
    """
    results: list[ParsedMerge | MergeError] = []
    is_single = False
    while len(results) < len(pairs):
        remaining = pairs[len(results) :]
        merges, failure = await _run_once(mirror, remaining[:1] if is_single else remaining, environment)
        results += merges
        if isinstance(failure, _MergeInterrupted) and not is_single:
            # Git holds back some of what it prints, so the first that is missing need not be the one to blame: it is
            # tried by itself, and then the rest goes on.
            is_single = True
            continue
        is_single = False
        if failure is not None:
            # git stops at the first pair it cannot merge; that one has no verdict, the rest get another run.
            results.append(failure)
    return results


async def _run_once(
    mirror: Mirror, pairs: Sequence[CommitPair], environment: Mapping[str, str]
) -> tuple[list[ParsedMerge], MergeError | None]:
    input_lines = "".join(f"{ours} {theirs}\n" for ours, theirs in pairs).encode()
    try:
        result = await mirror.git.run(
            "merge-tree",
            "--write-tree",
            "-z",
            "--stdin",
            git_dir=mirror.path,
            stdin=input_lines,
            environment=environment,
            config=_FAST_WRITE_CONFIG,
            allowed_statuses=range(-64, 256),
            max_memory_bytes=_MAX_MEMORY_BYTES,
        )
    except (GitTimeoutError, GitLimitError) as error:
        reason = "took too long" if isinstance(error, GitTimeoutError) else "is too large"
        try:
            merges = await parse_output(partial(read_merges, is_complete=False), error.output)
            return merges[: len(pairs) - 1], _MergeInterrupted(f"the merge {reason}: git was {error.stderr}")
        except ValueError as parse_error:
            raise MergeError(f"git's output cannot be parsed: {parse_error}") from error
    except GitError as error:
        raise MergeError(f"the merge cannot be tried: {error.stderr}") from error
    message = result.stderr.decode("utf-8", "replace").strip()[-500:]
    if b"No space left on device" in result.stderr:
        mirror.in_memory = False
        raise DiskFullError(f"there is no disk space for trial merges: {message}")
    if any(line.startswith(b"error:") and _NO_COMMIT not in line for line in result.stderr.splitlines()):
        # Before 2.44 git takes a tree it cannot read for an empty one, goes on, and calls the result clean.
        mirror.invalidate()
        raise MergeError(f"the mirror is damaged; the next fetch creates it again: {message}")
    try:
        merges = await parse_output(partial(read_merges, is_complete=result.exit_status == 0), result.stdout)
    except ValueError as error:
        raise MergeError(f"git's output cannot be parsed: {error}") from error
    if result.exit_status == 0:
        if len(merges) != len(pairs):
            raise MergeError(f"git answered {len(merges)} of {len(pairs)} merges")
        return merges, None
    if result.exit_status < 0 and len(merges) < len(pairs):
        # Git was not stopped by the bot: a bug of its own, which versions up to 2.39 have in rare cases. The mirror is
        # sound.
        return merges, _MergeInterrupted(
            f"git itself failed on this merge: {message or f'signal {-result.exit_status}'}"
        )
    if (
        len(merges) < len(pairs)
        and (missing := await _find_missing(mirror, pairs[len(merges)], environment)) is not None
    ):
        return merges, MergeError(f"{missing[:200]!r} is not a commit that was fetched")
    if "unrelated histories" not in message:
        # Both commits are there, so something they need is not: the mirror has lost objects.
        mirror.invalidate()
    if len(merges) >= len(pairs):
        raise MergeError(f"git merge-tree failed with status {result.exit_status}: {message}")
    return merges, MergeError(message or f"git merge-tree failed with status {result.exit_status}")


async def _find_missing(mirror: Mirror, pair: CommitPair, environment: Mapping[str, str]) -> str | None:
    """The first of the two that is no commit here."""
    reader = ObjectReader(mirror.git, mirror.path, environment)
    try:
        infos = await reader.info(name.encode() for name in pair)
    finally:
        await reader.close()
    return next((name for name, info in zip(pair, infos, strict=True) if info is None or info.kind != "commit"), None)
