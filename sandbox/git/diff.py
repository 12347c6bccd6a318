"""Read git's listing of the differences between two trees."""

import itertools
import re
from dataclasses import dataclass

_STATUS = {"A": "added", "D": "removed", "M": "modified", "T": "changed", "R": "renamed", "C": "copied"}
_DIFF_HEADER = re.compile(r"^diff --git ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a diff; lines are counted by git, binary files count none and have no patch."""

    path: str
    status: str
    additions: int
    deletions: int
    sha: str
    previous_path: str | None = None
    patch: str | None = None


def parse_changes(output: str) -> list[FileChange]:
    """Read `git diff -z --raw --numstat -p`: a listing, numbers and patches, whose files come in the same order."""
    listing, _, patches = output.removesuffix("\n").partition("\0\0")  # no path and no number is empty
    tokens = iter(listing.split("\0"))
    raw: list[tuple[str, str, str, str | None]] = []
    counts: list[tuple[int, int]] = []
    for token in tokens:
        if token.startswith(":"):
            _, _, old, new, status = token.split(" ")
            path = next(tokens)
            previous_path = None
            if status[0] in "RC":
                previous_path, path = path, next(tokens)
            raw.append((_STATUS.get(status[0], "modified"), path, old if status == "D" else new, previous_path))
        elif token:
            added, deleted, path = token.split("\t")
            if not path:  # a rename: the two names follow
                next(tokens)
                next(tokens)
            counts.append((0 if added == "-" else int(added), 0 if deleted == "-" else int(deleted)))
    bounds = [*(match.start() for match in _DIFF_HEADER.finditer(patches)), len(patches)]
    texts = [patches[start:end] for start, end in itertools.pairwise(bounds)]
    changes = []
    for index, (status, path, sha, previous_path) in enumerate(raw):
        text = texts[index] if index < len(texts) else ""
        hunk_start = text.find("\n@@ ")
        changes.append(
            FileChange(
                path=path,
                status=status,
                additions=counts[index][0],
                deletions=counts[index][1],
                sha=sha,
                previous_path=previous_path,
                patch=text[hunk_start + 1 :].rstrip("\n") if hunk_start >= 0 else None,
            )
        )
    return changes
