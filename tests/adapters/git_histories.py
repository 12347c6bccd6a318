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
_IDENT = "Ada <ada@example.com> 1700000000 +0000"
FOLDERS = ("", "d/", "d/s/", "e/", "n/")
FILE_NAMES = ("f", "g", "h", "x")
ALL_PATHS = (*(folder + name for folder in FOLDERS for name in FILE_NAMES), "d", "e", "d/s", "n")
LINE_COUNT = 9

Entry = tuple[str, bytes]
"""Mode and content; for a submodule the commit that it points to."""
Tree = dict[str, Entry]


def text(seed: str) -> bytes:
    """A file of nine lines that is like no other."""
    return b"".join(b"%s line %d\n" % (seed.encode(), number) for number in range(1, LINE_COUNT + 1))


FIRST_TREE: Tree = {
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

    kind: str
    path_index: int
    target_index: int
    line_index: int

    def apply_to(self, tree: Tree) -> Tree:
        """The tree afterwards."""
        paths = sorted(tree)
        if not paths:
            return tree
        path, new_path = paths[self.path_index % len(paths)], ALL_PATHS[self.target_index % len(ALL_PATHS)]
        mode, content = tree[path]
        marker_line = b"%d changed %d\n" % (self.line_index, self.target_index % 3)
        match self.kind:
            case "edit" if mode != "160000":
                lines = content.splitlines(keepends=True)
                lines[self.line_index % len(lines) : self.line_index % len(lines) + 1] = [marker_line]
                return _put(tree, path, (mode, b"".join(lines)))
            case "insert" if mode.startswith("100"):
                lines = content.splitlines(keepends=True)
                return _put(
                    tree, path, (mode, b"".join([*lines[: self.line_index], marker_line, *lines[self.line_index :]]))
                )
            case "binary" if mode.startswith("100"):
                return _put(tree, path, (mode, b"\0" + marker_line))
            case "mode" if mode.startswith("100"):
                return _put(tree, path, ("100755" if mode == "100644" else "100644", content))
            case "link":
                return _put(tree, path, ("120000", b"../../" + marker_line.strip()))
            case "submodule":
                return _put(
                    tree, path if mode == "160000" else new_path, ("160000", b"%d" % (self.line_index % 3 + 1) * 40)
                )
            case "remove":
                return {name: entry for name, entry in tree.items() if name != path}
            case "add":
                return _put(tree, new_path, ("100644", text(f"new {self.line_index % 2}")))
            case "rename":
                return _put({name: entry for name, entry in tree.items() if name != path}, new_path, (mode, content))
            case "move" if "/" in path:
                old_folder = path.rsplit("/", 1)[0]
                folder = FOLDERS[self.target_index % len(FOLDERS)]
                remaining = {name: entry for name, entry in tree.items() if not name.startswith(f"{old_folder}/")}
                for name, entry in tree.items():
                    if name not in remaining:
                        remaining = _put(remaining, folder + name.removeprefix(f"{old_folder}/"), entry)
                return remaining
        return tree


def _put(tree: Tree, path: str, entry: Entry) -> Tree:
    """A tree with this file; what stands in its way, file or folder, is gone."""
    parts = path.split("/")
    parents = {"/".join(parts[:count]) for count in range(1, len(parts))}
    remaining = {
        name: its_entry for name, its_entry in tree.items() if name not in parents and not name.startswith(f"{path}/")
    }  # fmt: skip
    return {**remaining, path: entry}


_COMMON_KINDS = ("edit", "edit", "insert", "rename", "rename", "move", "add", "remove")
_KINDS = (*_COMMON_KINDS, *_COMMON_KINDS, "binary", "mode", "link", "submodule")
steps = st.builds(Step, st.sampled_from(_KINDS), st.integers(0, 29), st.integers(0, 29), st.integers(0, LINE_COUNT - 1))


@dataclass(frozen=True)
class BranchPlan:
    """A branch: how far behind main's tip it leaves, on which earlier branch it stands, if any, what it does before and
    after it merges main, if it does.
    """

    commits_behind: int
    parent_branch: int | None
    steps_before_merge: tuple[Step, ...]
    merges_main: bool
    steps_after_merge: tuple[Step, ...]


plans = st.builds(
    BranchPlan,
    st.sampled_from((0, 0, 1, 2)),
    st.sampled_from((None, None, None, None, 0, 1)),
    st.lists(steps, min_size=1, max_size=3).map(tuple),
    st.sampled_from((False, False, False, True)),
    st.lists(steps, max_size=1).map(tuple),
)
histories = st.tuples(
    st.lists(st.lists(steps, min_size=1, max_size=2), max_size=2), st.lists(plans, min_size=3, max_size=6)
)


@dataclass(frozen=True)
class History:
    """Main's tip, and the branches' heads; those that left main's tip, and merge nothing, are `plain`."""

    base: str
    heads: dict[int, str]
    plain_branches: frozenset[int]
    main_removes: bool  # main has lost a path since the first commit, maybe by a rename


def make_history(folder: Path, main_steps: Iterable[Iterable[Step]], branches: Iterable[BranchPlan]) -> History:
    """Make a bare repository with this history, by one process."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder)], check=True, env=ENVIRONMENT)
    stream: list[bytes] = []
    trees: dict[int, Tree] = {}

    def commit(ref: str, tree: Tree, *parents: int) -> int:
        mark = len(trees) + 1
        trees[mark] = tree
        stream.append(f"commit refs/heads/{ref}\nmark :{mark}\ncommitter {_IDENT}\ndata 1\nx\n".encode())
        stream.extend(
            b"%s :%d\n" % (keyword, parent) for keyword, parent in zip((b"from", b"merge"), parents, strict=False)
        )
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

    def apply_steps(tree: Tree, to_apply: Iterable[Step]) -> Tree:
        for step in to_apply:
            tree = step.apply_to(tree)
        return tree

    main_commits = [commit("main", FIRST_TREE)]
    for step in main_steps:
        main_commits.append(commit("main", apply_steps(trees[main_commits[-1]], step), main_commits[-1]))
    tips: list[int] = []
    plain: set[int] = set()
    for number, plan in enumerate(branches):
        branch_point = main_commits[max(0, len(main_commits) - 1 - plan.commits_behind)]
        start_commit = (
            tips[plan.parent_branch]
            if plan.parent_branch is not None and plan.parent_branch < len(tips)
            else branch_point
        )
        if start_commit == main_commits[-1] and not plan.merges_main:
            plain.add(number)
        tip = commit(f"b{number}", apply_steps(trees[start_commit], plan.steps_before_merge), start_commit)
        if plan.merges_main:
            # Like a developer who resolves every conflict in favour of main and applies the work again.
            tip = commit(
                f"b{number}",
                apply_steps(trees[main_commits[-1]], (*plan.steps_before_merge, *plan.steps_after_merge)),
                tip,
                main_commits[-1],
            )
        elif plan.steps_after_merge:
            tip = commit(f"b{number}", apply_steps(trees[tip], plan.steps_after_merge), tip)
        tips.append(tip)
    marks = folder / "marks"
    subprocess.run(
        ["git", "fast-import", "--quiet", "--force", "--date-format=raw", f"--export-marks={marks}"],
        cwd=folder,
        input=b"".join(stream),
        check=True,
        env=ENVIRONMENT,
    )
    shas_by_mark = dict(line.split() for line in marks.read_text(encoding="ascii").splitlines())
    heads = {number: shas_by_mark[f":{tip}"] for number, tip in enumerate(tips)}
    is_path_removed = any(trees[older].keys() - trees[newer].keys() for older, newer in pairwise(main_commits))
    return History(shas_by_mark[f":{main_commits[-1]}"], heads, frozenset(plain), is_path_removed)
