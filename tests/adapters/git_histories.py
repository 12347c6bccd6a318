"""Histories for property tests: a main branch, and branches that do all that can get into each other's way."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from hypothesis import strategies as st

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}
_NOBODY = "Ada <ada@example.com> 1700000000 +0000"
FOLDERS = ("", "d/", "d/s/", "e/", "n/")
NAMES = ("f", "g", "h", "x")
PLACES = (*(folder + name for folder in FOLDERS for name in NAMES), "d", "e", "d/s", "n")
LINES = 9

Entry = tuple[str, bytes]
"""Mode and content; for a submodule the commit that it points to."""
Tree = dict[str, Entry]


def text(seed: str) -> bytes:
    """A file of nine lines that is like no other."""
    return b"".join(b"%s line %d\n" % (seed.encode(), number) for number in range(1, LINES + 1))


FIRST: Tree = {
    "d/f": ("100644", text("df")),
    "d/g": ("100644", text("dg")),
    "d/s/f": ("100644", text("dsf")),
    "d/s/g": ("100755", text("dsg")),
    "e/f": ("100644", text("ef")),
    "e/link": ("120000", b"../d/f"),
    "f": ("100644", text("f")),
    "g": ("100644", text("g")),
    "bin": ("100644", b"\0\1\2"),
    "sub": ("160000", b"1" * 40),
}


@dataclass(frozen=True)
class Step:
    """One thing that a commit does. What does not apply does nothing."""

    what: str
    place: int
    other: int
    line: int

    def on(self, tree: Tree) -> Tree:
        """The tree afterwards."""
        known = sorted(tree)
        if not known:
            return tree
        path, new = known[self.place % len(known)], PLACES[self.other % len(PLACES)]
        mode, content = tree[path]
        mark = b"%d changed %d\n" % (self.line, self.other % 3)
        match self.what:
            case "edit" if mode != "160000":
                lines = content.splitlines(keepends=True)
                lines[self.line % len(lines) : self.line % len(lines) + 1] = [mark]
                return _put(tree, path, (mode, b"".join(lines)))
            case "insert" if mode.startswith("100"):
                lines = content.splitlines(keepends=True)
                return _put(tree, path, (mode, b"".join([*lines[: self.line], mark, *lines[self.line :]])))
            case "binary" if mode.startswith("100"):
                return _put(tree, path, (mode, b"\0" + mark))
            case "mode" if mode.startswith("100"):
                return _put(tree, path, ("100755" if mode == "100644" else "100644", content))
            case "link":
                return _put(tree, path, ("120000", b"../../" + mark.strip()))
            case "submodule":
                return _put(tree, path if mode == "160000" else new, ("160000", b"%d" % (self.line % 3 + 1) * 40))
            case "remove":
                return {name: entry for name, entry in tree.items() if name != path}
            case "add":
                return _put(tree, new, ("100644", text(f"new {self.line % 2}")))
            case "rename":
                return _put({name: entry for name, entry in tree.items() if name != path}, new, (mode, content))
            case "move" if "/" in path:
                old = path.rsplit("/", 1)[0]
                folder = FOLDERS[self.other % len(FOLDERS)]
                rest = {name: entry for name, entry in tree.items() if not name.startswith(f"{old}/")}
                for name, entry in tree.items():
                    if name not in rest:
                        rest = _put(rest, folder + name.removeprefix(f"{old}/"), entry)
                return rest
        return tree


def _put(tree: Tree, path: str, entry: Entry) -> Tree:
    """A tree with this file; what stands in its way, file or folder, is gone."""
    parts = path.split("/")
    above = {"/".join(parts[:count]) for count in range(1, len(parts))}
    rest = {
        name: its for name, its in tree.items() if name not in above and not name.startswith(f"{path}/")
    }  # fmt: skip
    return {**rest, path: entry}


_COMMON = ("edit", "edit", "insert", "rename", "rename", "move", "add", "remove")
_WHATS = (*_COMMON, *_COMMON, "binary", "mode", "link", "submodule")
steps = st.builds(Step, st.sampled_from(_WHATS), st.integers(0, 29), st.integers(0, 29), st.integers(0, LINES - 1))


@dataclass(frozen=True)
class Plan:
    """A branch: how far behind main's tip it leaves, on which earlier branch it stands, if any, what it does before and
    after it merges main, if it does.
    """

    behind: int
    upon: int | None
    before: tuple[Step, ...]
    merges: bool
    after: tuple[Step, ...]


plans = st.builds(
    Plan,
    st.sampled_from((0, 0, 1, 2)),
    st.sampled_from((None, None, None, None, 0, 1)),
    st.lists(steps, min_size=1, max_size=3).map(tuple),
    st.sampled_from((False, False, False, True)),
    st.lists(steps, max_size=1).map(tuple),
)
stories = st.tuples(
    st.lists(st.lists(steps, min_size=1, max_size=2), max_size=2), st.lists(plans, min_size=3, max_size=6)
)


@dataclass(frozen=True)
class History:
    """Main's tip, and the branches' heads; those that left main's tip, and merge nothing, are `plain`."""

    base: str
    heads: dict[int, str]
    plain: frozenset[int]
    main_removes: bool  # main has lost a path since the first commit, maybe by a rename


def make(folder: Path, main: Iterable[Iterable[Step]], branches: Iterable[Plan]) -> History:
    """Make a bare repository with this history, by one process."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder)], check=True, env=ENVIRONMENT)
    stream: list[bytes] = []
    trees: dict[int, Tree] = {}

    def commit(ref: str, tree: Tree, *parents: int) -> int:
        mark = len(trees) + 1
        trees[mark] = tree
        stream.append(f"commit refs/heads/{ref}\nmark :{mark}\ncommitter {_NOBODY}\ndata 1\nx\n".encode())
        stream.extend(b"%s :%d\n" % (word, parent) for word, parent in zip((b"from", b"merge"), parents, strict=False))
        stream.append(b"deleteall\n")
        for path, (mode, content) in tree.items():
            if mode == "160000":
                stream.append(b"M 160000 %s %s\n" % (content, path.encode()))
            else:
                stream.append(
                    b"M %s inline %s\ndata %d\n" % (mode.encode(), path.encode(), len(content)) + content + b"\n"
                )
        stream.append(b"\n")
        return mark

    def done(tree: Tree, what: Iterable[Step]) -> Tree:
        for step in what:
            tree = step.on(tree)
        return tree

    states = [commit("main", FIRST)]
    for step in main:
        states.append(commit("main", done(trees[states[-1]], step), states[-1]))
    tips: list[int] = []
    plain: set[int] = set()
    for number, plan in enumerate(branches):
        left = states[max(0, len(states) - 1 - plan.behind)]
        start = tips[plan.upon] if plan.upon is not None and plan.upon < len(tips) else left
        if start == states[-1] and not plan.merges:
            plain.add(number)
        tip = commit(f"b{number}", done(trees[start], plan.before), start)
        if plan.merges:
            # As somebody does who solves every conflict in favour of main: their work is laid on it anew.
            tip = commit(f"b{number}", done(trees[states[-1]], (*plan.before, *plan.after)), tip, states[-1])
        elif plan.after:
            tip = commit(f"b{number}", done(trees[tip], plan.after), tip)
        tips.append(tip)
    marks = folder / "marks"
    subprocess.run(
        ["git", "fast-import", "--quiet", "--force", "--date-format=raw", f"--export-marks={marks}"],
        cwd=folder,
        input=b"".join(stream),
        check=True,
        env=ENVIRONMENT,
    )
    known = dict(line.split() for line in marks.read_text(encoding="ascii").splitlines())
    heads = {number: known[f":{tip}"] for number, tip in enumerate(tips)}
    lost = any(trees[one].keys() - trees[two].keys() for one, two in pairwise(states))
    return History(known[f":{states[-1]}"], heads, frozenset(plain), lost)
