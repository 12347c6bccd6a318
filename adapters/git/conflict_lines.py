"""Which lines of each side's version stand in conflict.

The merged file holds the conflicts between markers. A diff from a side's own version to the merged one gives
the shift between their line numbers, so the part between the markers leads back to lines that people see in
their pull request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.git.runner import Git

_LARGEST: Final = 1024 * 1024
"""Bytes of a file whose lines are looked up; nobody reads annotations on larger ones."""

_HUNK: Final = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True)
class LineRange:
    """Lines `first` to `last`, counted from 1, both included; where lines were removed, the line before the
    gap.
    """

    first: int
    last: int


Sides = tuple[tuple[LineRange, ...], tuple[LineRange, ...]]


async def conflict_lines(
    git: Git,
    git_dir: Path,
    environment: dict[str, str],
    commits: tuple[str, str],
    tree: str,
    path: bytes,
    stages: dict[int, str],
) -> Sides:
    """Give the conflicting lines of one file in ours and in theirs; none for binary or very large files."""
    listed = await git.run(
        "ls-tree", "-z", "--full-tree", tree, "--", _literal(path), git_dir=git_dir, environment=environment
    )
    entries = [entry.partition(b"\t") for entry in listed.stdout.split(b"\0") if entry]
    merged = next((left.split()[2].decode() for left, _, name in entries if name == path), None)
    if merged is None:
        return (), ()
    size = await git.run("cat-file", "-s", merged, git_dir=git_dir, environment=environment)
    if int(size.stdout) > _LARGEST:
        return (), ()
    text = (await git.run("cat-file", "blob", merged, git_dir=git_dir, environment=environment)).stdout
    regions = _regions(text.split(b"\n"), commits)
    if not regions:
        return (), ()
    sides: list[tuple[LineRange, ...]] = []
    for side, stage in enumerate((2, 3)):
        shifts = await _hunks(git, git_dir, environment, stages[stage], merged)
        sides.append(tuple(_back(region[side], shifts) for region in regions))
    return sides[0], sides[1]


def _literal(path: bytes) -> str:
    # The filesystem encoding carries any bytes through to git's arguments; ls-tree takes them literally.
    return path.decode("utf-8", "surrogateescape")


def _regions(lines: list[bytes], commits: tuple[str, str]) -> list[tuple[range, range]]:
    """Find the marked parts: for each the merged file's lines of ours and of theirs (counted from 1)."""
    ours, theirs = (re.escape(commit.encode()) for commit in commits)
    opening = re.compile(rb"<{7,} " + ours + rb"(?::.*)?\r?")
    closing = re.compile(rb">{7,} " + theirs + rb"(?::.*)?\r?")
    regions: list[tuple[range, range]] = []
    start = middle = 0
    for number, line in enumerate(lines, start=1):
        if opening.fullmatch(line):
            start, middle = number, 0
        elif start and not middle and re.fullmatch(rb"={7,}\r?", line):
            middle = number
        elif middle and closing.fullmatch(line):
            regions.append((range(start + 1, middle), range(middle + 1, number)))
            start = middle = 0
    return regions


async def _hunks(
    git: Git, git_dir: Path, environment: dict[str, str], own: str, merged: str
) -> list[tuple[int, int, int, int]]:
    diff = await git.run(
        "diff",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "-U0",
        own,
        merged,
        git_dir=git_dir,
        environment=environment,
    )
    return [
        (int(hit[1]), int(hit[2] or 1), int(hit[3]), int(hit[4] or 1))
        for line in diff.stdout.split(b"\n")
        if (hit := _HUNK.match(line)) is not None
    ]


def _back(region: range, hunks: list[tuple[int, int, int, int]]) -> LineRange:
    """Lead lines of the merged file back to the side's own file."""
    if not region:
        line = max(1, _own_line(region.start - 1, hunks))
        return LineRange(line, line)
    first, last = _own_line(region.start, hunks), _own_line(region.stop - 1, hunks)
    return LineRange(max(1, first), max(1, first, last))


def _own_line(line: int, hunks: list[tuple[int, int, int, int]]) -> int:
    """The line of the side's own file that stands at `line` of the merged one, or the last before it."""
    shift = 0
    for own_start, own_count, new_start, new_count in hunks:
        # In a hunk without lines on one side git names the line before the gap.
        new_first = new_start if new_count else new_start + 1
        own_first = own_start if own_count else own_start + 1
        if line < new_first:
            break
        if line < new_first + new_count:
            return own_first - 1 + min(line - new_first + 1, own_count)
        shift = (own_first + own_count) - (new_first + new_count)
    return line + shift
