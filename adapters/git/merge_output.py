r"""Parses what `git merge-tree --write-tree -z --stdin` prints, as of git 2.39.

For each merge, every item ended by NUL: the status (`1` clean, `0` conflict: the reverse of an exit status), the tree;
for conflicts the entries `<mode> <object> <stage>\t<path>` of all unmerged files, an empty item, and the messages
(`<n>`, n paths, type, text), at last an empty item. If a submodule is in conflict, advice for people replaces that last
item.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_OBJECT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ENTRY: Final = re.compile(rb"(\d{6}) ([0-9a-f]{40,64}) ([123])\t(.+)", re.DOTALL)
_CONFLICT: Final = re.compile(r"CONFLICT \((.+)\)")
_ADVICE: Final = b"Recursive merging with submodules"
_KINDS: Final = {"distinct modes": "distinct types", "rename involved in collision": "rename collision"}


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """An unmerged file: its path as git has it, the conflict's kind, and its object by stage (1 base, 2 ours,
    3).
    """

    raw_path: bytes
    kind: str
    stages: dict[int, str]


@dataclass(frozen=True, slots=True)
class ParsedMerge:
    """One merge as git printed it."""

    clean: bool
    tree: str
    files: tuple[ParsedFile, ...] = ()
    messages: tuple[str, ...] = ()


@dataclass(slots=True)
class _Items:
    items: list[bytes]
    index: int = 0
    kinds: dict[bytes, str] = field(default_factory=dict)

    def next(self) -> bytes:
        if self.index >= len(self.items):
            raise EOFError
        self.index += 1
        return self.items[self.index - 1]


def is_object_name(name: str) -> bool:
    """Whether this is a full object id (SHA-1 or SHA-256) in small letters."""
    return _OBJECT.fullmatch(name) is not None


def path_text(raw: bytes) -> str:
    r"""Write a path as text that everything takes: bytes that are no UTF-8 become `\xff`."""
    return raw.decode("utf-8", "backslashreplace")


def path_key(raw: bytes) -> str:
    """A path as a string that leads back to the same bytes: no two paths have the same."""
    return raw.decode("utf-8", "surrogateescape")


def raw_path(key: str) -> bytes:
    """The path that a key stands for."""
    return key.encode("utf-8", "surrogateescape")


def read_merges(output: bytes, *, is_complete: bool) -> list[ParsedMerge]:
    """Read all merges printed; unless it `is_complete` (git died) a half-printed last one is left out.

    Raises ValueError for anything that does not look as described above: rather no verdict than a wrong one.
    """
    fields = output.split(b"\0")
    remainder = fields.pop()
    if remainder and is_complete:
        raise ValueError("the output does not end with NUL")
    items = _Items(fields)
    merges: list[ParsedMerge] = []
    while items.index < len(items.items):
        try:
            merges.append(_read_merge(items))
        except EOFError:
            if is_complete:
                raise ValueError("the output ends in the middle of a merge") from None
            break
    return merges


def _read_merge(items: _Items) -> ParsedMerge:
    status, tree = items.next(), items.next().decode("ascii", "replace")
    if status not in {b"0", b"1"} or not is_object_name(tree):
        raise ValueError(f"neither a status nor a tree: {status[:20]!r} {tree[:80]!r}")
    if status == b"1":
        if items.next():
            raise ValueError("a clean merge with unmerged files")
        return ParsedMerge(clean=True, tree=tree)
    stages: dict[bytes, dict[int, tuple[bytes, str]]] = {}
    while entry := items.next():
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ValueError(f"no entry of a file: {entry[:80]!r}")
        stages.setdefault(match[4], {})[int(match[3])] = (match[1], match[2].decode())
    kinds: dict[bytes, str] = {}
    messages: list[str] = []
    while (count := items.next()) and not count.startswith(_ADVICE):
        paths = [items.next() for _ in range(int(count))]
        kind, text = path_text(items.next()), path_text(items.next()).strip()
        conflict = _CONFLICT.fullmatch(kind)
        if conflict is None:
            continue
        messages.append(text)
        for path in paths:
            kinds.setdefault(path, conflict[1])
    files = tuple(
        ParsedFile(
            path, _conflict_kind(kinds.get(path, ""), sides), {stage: name for stage, (_, name) in sides.items()}
        )
        for path, sides in stages.items()
    )
    # Of a folder that cannot be moved along there is nothing left to solve in any file, but it is told of.
    files = files or tuple(ParsedFile(path, _conflict_kind(kind, {}), {}) for path, kind in kinds.items())
    return ParsedMerge(clean=False, tree=tree, files=files, messages=tuple(messages))


def _conflict_kind(git_kind: str, sides: dict[int, tuple[bytes, str]]) -> str:
    """Name a conflict by what git says and, where that tells less, by the sides that have the file."""
    for group in ("submodule", "directory rename"):
        if group in git_kind:
            return group
    if git_kind and git_kind != "contents":
        return _KINDS.get(git_kind, git_kind)
    if not (2 in sides and 3 in sides):
        return "modify/delete"
    if sides[2][0] == sides[3][0] == b"160000":
        return "submodule"
    if sides[2][1] == sides[3][1]:
        return "mode"
    return "contents" if 1 in sides else "add/add"
