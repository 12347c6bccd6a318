"""Merges without a work tree give the verdict of a real `git merge`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from adapters.git.conflict_lines import LineRange
from adapters.git.merge import MergeError, MergeResult, commits_containing, merge_trees
from adapters.git.merge_output import path_text, read_merges
from adapters.git.mirror import Mirror
from adapters.git.process import Git, GitError
from tests.adapters.git_repositories import TEXT, Files, WorkTree, merge_tree, mirror_of, with_line
from tests.manual_loop import HANGING_SCRIPT, ManualLoop


def two_sides(work: WorkTree, base: Files, ours: Files, theirs: Files) -> None:
    work.commit(base)
    work.branch("ours")
    work.commit(ours)
    work.branch("theirs")
    work.commit(theirs)


CASES: dict[str, tuple[Files, Files, Files]] = {
    "different files": ({b"a": TEXT}, {b"b": b"1\n"}, {b"c": b"1\n"}),
    "different lines": ({b"a": TEXT}, {b"a": with_line(2, b"x")}, {b"a": with_line(18, b"y")}),
    "same line": ({b"a": TEXT}, {b"a": with_line(9, b"x")}, {b"a": with_line(9, b"y")}),
    "same change": ({b"a": TEXT}, {b"a": with_line(9, b"x")}, {b"a": with_line(9, b"x")}),
    "both add": ({b"a": TEXT}, {b"new": b"x\n"}, {b"new": b"y\n"}),
    "modify/delete": ({b"a": TEXT, b"k": b"k\n"}, {b"a": with_line(3, b"x")}, {b"a": None}),
    "rename and edit": ({b"a": TEXT}, {b"a": None, b"z": TEXT}, {b"a": with_line(4, b"y")}),
    "rename and delete": ({b"a": TEXT, b"k": b"k\n"}, {b"a": None, b"z": TEXT}, {b"a": None}),
    "two renames of one": ({b"a": TEXT}, {b"a": None, b"z": TEXT}, {b"a": None, b"y": TEXT}),
    "renamed to one name": (
        {b"a": TEXT, b"b": TEXT.upper()},
        {b"a": None, b"c": TEXT},
        {b"b": None, b"c": TEXT.upper()},
    ),
    "folder renamed": (
        {b"d/a": TEXT, b"d/b": TEXT.upper()},
        {b"d/a": None, b"d/b": None, b"e/a": TEXT, b"e/b": TEXT.upper()},
        {b"d/c": b"new\n"},
    ),
    "file and folder": ({b"k": b"k\n"}, {b"d": b"file\n"}, {b"d/inside": b"file\n"}),
    "binary": ({b"p": b"\0\1\2"}, {b"p": b"\0\1\3"}, {b"p": b"\0\1\4"}),
    "spaces and quotes": (
        {b"a 'b' \"c\"": TEXT},
        {b"a 'b' \"c\"": with_line(1, b"x")},
        {b"a 'b' \"c\"": with_line(1, b"y")},
    ),
    "newline and tab": (
        {b"a\nb\tc": TEXT},
        {b"a\nb\tc": with_line(1, b"x")},
        {b"a\nb\tc": with_line(1, b"y")},
    ),
    "no UTF-8": ({b"caf\xe9": TEXT}, {b"caf\xe9": with_line(1, b"x")}, {b"caf\xe9": with_line(1, b"y")}),
    "pathspec magic": (
        {b":(top)*": TEXT},
        {b":(top)*": with_line(1, b"x")},
        {b":(top)*": with_line(1, b"y")},
    ),
    "no newline at the end": ({b"a": b"1"}, {b"a": b"2"}, {b"a": b"3"}),
}


@pytest.mark.parametrize("name", CASES)
async def test_the_verdict_is_that_of_a_real_merge(tmp_path: Path, name: str) -> None:
    work = WorkTree(tmp_path / "work")
    two_sides(work, *CASES[name])
    mirror = await mirror_of(work, tmp_path, "ours", "theirs")

    result = await merge_tree(mirror, "refs/heads/ours", "refs/heads/theirs")

    clean, paths, tree = work.merge("ours", "theirs")
    assert result.clean is clean
    assert {file.path for file in result.files} == {path_text(path).removesuffix("~HEAD") for path in paths}
    assert bool(result.messages) is not clean
    if clean:
        assert result.tree == tree


@pytest.mark.parametrize("count", [5, pytest.param(12, marks=pytest.mark.full)])
async def test_generated_histories_agree_with_real_merges(tmp_path: Path, count: int) -> None:
    """Branches that edit, add, remove and rename files at random; every pair is merged both ways."""
    chance = random.Random(20260131)
    work = WorkTree(tmp_path / "work")
    names = [b"f%d" % number for number in range(6)]
    work.commit({name: b"".join(name + b" %d\n" % line for line in range(12)) for name in names})
    branches = [f"b{number}" for number in range(count)]
    for branch in branches:
        work.branch(branch)
        changes: Files = {}
        for name in chance.sample(names, 2):
            content = (work.folder / name.decode()).read_bytes()
            match chance.randrange(4):
                case 0 | 1:
                    changes[name] = with_line(chance.randrange(1, 13), branch.encode(), content)
                case 2:
                    changes |= {name: None, name + branch.encode(): content}
                case _:
                    changes[name] = None
        work.commit(changes)
    mirror = await mirror_of(work, tmp_path, *branches)
    pairs = [(work.sha(one), work.sha(two)) for i, one in enumerate(branches) for two in branches[:i]]

    results = await merge_trees(mirror, pairs)

    verdicts = set()
    for (ours, theirs), result in zip(pairs, results, strict=True):
        assert isinstance(result, MergeResult)
        clean, paths, tree = work.merge(ours, theirs)
        assert result.clean is clean, (ours, theirs)
        assert {file.path for file in result.files} == {path_text(path) for path in paths}
        if clean:
            assert result.tree == tree
        verdicts.add(clean)
    assert verdicts == {True, False}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("same line", "contents"),
        ("both add", "add/add"),
        ("modify/delete", "modify/delete"),
        ("rename and delete", "rename/delete"),
        ("binary", "binary"),
        ("file and folder", "file/directory"),
        ("two renames of one", "rename/rename"),
        ("renamed to one name", "add/add"),
        ("folder renamed", "directory rename"),
    ],
)
async def test_the_kind_of_conflict_is_named(tmp_path: Path, name: str, kind: str) -> None:
    work = WorkTree(tmp_path / "work")
    two_sides(work, *CASES[name])
    mirror = await mirror_of(work, tmp_path, "ours", "theirs")

    result = await merge_tree(mirror, work.sha("ours"), work.sha("theirs"))

    assert kind in {file.kind for file in result.files}


def with_modes(work: WorkTree, name: str, entries: dict[bytes, tuple[str, bytes]]) -> None:
    """A branch with these entries, which a work tree could not hold everywhere."""
    work.branch(name)
    for path, (mode, content) in entries.items():
        blob = content.decode()
        if mode != "160000":
            (work.folder / "content").write_bytes(content)
            blob = work.git("hash-object", "-w", "content").stdout.decode().strip()
        work.git("update-index", "--add", "--cacheinfo", mode, blob, path)
    work.git("commit", "-q", "-m", "change")


@pytest.mark.parametrize(
    ("kind", "base", "ours", "theirs"),
    [
        ("submodule", ("160000", b"1" * 40), ("160000", b"2" * 40), ("160000", b"3" * 40)),
        ("submodule", None, ("160000", b"2" * 40), ("160000", b"3" * 40)),
        ("mode", None, ("100644", b"same\n"), ("100755", b"same\n")),
        ("distinct types", None, ("100644", b"text\n"), ("120000", b"target")),
        ("distinct types", ("100644", b"x\n"), ("160000", b"2" * 40), ("120000", b"target")),
        ("contents", ("120000", b"a"), ("120000", b"../../b"), ("120000", b"/etc/passwd")),
    ],
)
async def test_modes_links_and_submodules_are_distinguished(
    tmp_path: Path, kind: str, base: tuple[str, bytes] | None, ours: tuple[str, bytes], theirs: tuple[str, bytes]
) -> None:
    work = WorkTree(tmp_path / "work")
    work.commit({b"k": b"k\n"})
    if base is not None:
        with_modes(work, "main", {b"it": base})
    with_modes(work, "ours", {b"it": ours})
    with_modes(work, "theirs", {b"it": theirs})
    mirror = await mirror_of(work, tmp_path, "ours", "theirs")
    pair = (work.sha("ours"), work.sha("theirs"))

    first, again = await merge_trees(mirror, [pair, pair], lines=True)

    assert isinstance(first, MergeResult)
    assert not first.clean
    assert {file.kind for file in first.files} == {kind}
    assert first.messages
    assert again == first


def insert_above(count: int) -> bytes:
    return b"".join(b"new %d\n" % number for number in range(count))


@pytest.mark.parametrize(
    ("ours", "theirs", "our_lines", "their_lines"),
    [
        (with_line(9, b"x"), with_line(9, b"y"), [(9, 9)], [(9, 9)]),
        (insert_above(5) + with_line(9, b"x"), with_line(9, b"y"), [(14, 14)], [(9, 9)]),
        (with_line(9, b"x"), insert_above(3) + with_line(9, b"y"), [(9, 9)], [(12, 12)]),
        (
            with_line(3, b"x", with_line(15, b"x")),
            with_line(3, b"y\nz", with_line(15, b"y")),
            [(3, 3), (15, 15)],
            [(3, 4), (16, 16)],
        ),
        (TEXT.replace(b"line 9\n", b""), with_line(9, b"y"), [(8, 8)], [(9, 9)]),
    ],
)
async def test_the_lines_are_those_of_each_side(
    tmp_path: Path,
    ours: bytes,
    theirs: bytes,
    our_lines: list[tuple[int, int]],
    their_lines: list[tuple[int, int]],
) -> None:
    work = WorkTree(tmp_path / "work")
    two_sides(work, {b"a": TEXT}, {b"a": ours}, {b"a": theirs})
    mirror = await mirror_of(work, tmp_path, "ours", "theirs")

    [file] = (await merge_tree(mirror, "refs/heads/ours", "refs/heads/theirs")).files

    assert file.ours == tuple(LineRange(*pair) for pair in our_lines)
    assert file.theirs == tuple(LineRange(*pair) for pair in their_lines)


async def test_markers_written_by_hand_are_not_taken_for_a_conflict(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    forged = b"<<<<<<< HEAD\nx\n=======\ny\n>>>>>>> main\n"
    two_sides(work, {b"a": forged + TEXT}, {b"a": forged + with_line(9, b"x")}, {b"a": forged + with_line(9, b"y")})
    mirror = await mirror_of(work, tmp_path, "ours", "theirs")

    [file] = (await merge_tree(mirror, "refs/heads/ours", "refs/heads/theirs")).files

    assert (file.ours, file.theirs) == ((LineRange(14, 14),), (LineRange(14, 14),))


async def test_a_pair_without_a_verdict_does_not_hide_the_others(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    two_sides(work, *CASES["same line"])
    work.git("checkout", "-q", "--orphan", "stranger")
    work.git("rm", "-rqf", ".")
    stranger = work.commit({b"s": b"1\n"})
    mirror = await mirror_of(work, tmp_path, "main", "ours", "theirs", "stranger")
    main, ours, theirs = (work.sha(name) for name in ("main", "ours", "theirs"))

    results = await merge_trees(
        mirror,
        [
            (ours, stranger),
            (main, ours),
            (ours, "0" * 40),
            (ours, theirs),
            (stranger, theirs),
            (main, theirs),
            (ours, work.sha("main^{tree}")),
            (ours, "--help"),
            (ours, "refs/heads/unknown"),
        ],
    )

    shown = [result if isinstance(result, MergeError) else result.clean for result in results]
    assert [type(item) for item in shown] == [
        MergeError, bool, MergeError, bool, MergeError, bool, MergeError, MergeError, MergeError,
    ]  # fmt: skip
    assert [item for item in shown if isinstance(item, bool)] == [True, False, True]
    assert "unrelated histories" in str(shown[0])
    assert "not a commit that was fetched" in str(shown[2])
    with pytest.raises(MergeError, match="unrelated histories"):
        await merge_tree(mirror, ours, stranger)
    assert await merge_trees(mirror, []) == ()
    # Strangers are no damage: the mirror stays.
    assert not mirror.path.with_suffix(".suspect").exists()


async def test_a_lost_file_costs_only_the_merge_that_needs_it(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    two_sides(work, *CASES["different lines"])
    mirror = await mirror_of(work, tmp_path, "main", "ours", "theirs")
    lost = work.sha("ours:a")
    (mirror.path / "objects" / lost[:2] / lost[2:]).unlink()
    main, ours, theirs = (work.sha(name) for name in ("main", "ours", "theirs"))

    first, second, third = await merge_trees(mirror, [(main, theirs), (ours, theirs), (theirs, main)])

    assert isinstance(first, MergeResult)
    assert isinstance(third, MergeResult)
    assert isinstance(second, MergeError)
    assert "unable to read" in str(second)
    await mirror.fetch(["refs/heads/ours", "refs/heads/theirs"])
    assert (await merge_tree(mirror, ours, theirs)).clean


async def test_a_git_that_hangs_gives_no_verdict(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    two_sides(work, *CASES["same line"])
    mirror = await mirror_of(work, tmp_path, "ours", "theirs")
    slow, ready = tmp_path / "slow", tmp_path / "ready"
    slow.write_text(f'#!/bin/sh\n[ "$1" = merge-tree ] && {HANGING_SCRIPT.format(signal=ready)}\nexec git "$@"\n')
    slow.chmod(0o755)
    mirror.git = Git(timeout=60, executable=str(slow))

    with ManualLoop().advance_on_signal(ready, 61), pytest.raises(MergeError, match="took too long"):
        await merge_tree(mirror, work.sha("ours"), work.sha("theirs"))


async def test_a_mirror_that_was_never_fetched_gives_no_verdict(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, 1, "https://github.com/acme/shop.git")
    with pytest.raises(MergeError):
        await merge_tree(mirror, "0" * 40, "1" * 40)
    with pytest.raises(MergeError):
        await merge_tree(mirror, "refs/heads/a", "refs/heads/b")


async def test_trying_merges_leaves_no_trace(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    two_sides(work, *CASES["different lines"])
    mirror = await mirror_of(work, tmp_path, "ours", "theirs")
    before = sorted(path for path in (tmp_path / "data").rglob("*"))

    assert (await merge_tree(mirror, "refs/heads/ours", "refs/heads/theirs")).clean

    assert sorted(path for path in (tmp_path / "data").rglob("*")) == before


async def test_nothing_that_a_repository_brings_is_executed(tmp_path: Path) -> None:
    """A repository that asks for a merge driver, a filter and a text conversion; a hook beside the mirror."""
    proof = tmp_path / "executed"
    work = WorkTree(tmp_path / "work")
    attributes = b"* merge=evil filter=evil diff=evil\n"
    settings = b"".join(
        b'[%s "evil"]\n\t%s = touch %s\n' % (section, key, bytes(proof))
        for section, key in ((b"merge", b"driver"), (b"filter", b"clean"), (b"diff", b"textconv"))
    )
    base: Files = {b".gitattributes": attributes, b".gitconfig": settings, b"a": TEXT}
    two_sides(work, base, {b"a": with_line(9, b"x")}, {b"a": with_line(9, b"y")})
    mirror = await mirror_of(work, tmp_path, "main", "ours", "theirs")
    hook = mirror.path / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {proof}\n")
    hook.chmod(0o755)
    work.branch("main", "ours")

    await mirror.fetch(["refs/heads/main"])
    result = await merge_tree(mirror, "refs/heads/ours", "refs/heads/theirs")

    assert [(file.path, file.kind) for file in result.files] == [("a", "contents")]
    assert not proof.exists()


async def test_union_attributes_do_not_turn_a_conflict_into_a_merge(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    base: Files = {b".gitattributes": b"* merge=union\n", b"a": TEXT}
    two_sides(work, base, {b"a": with_line(9, b"x")}, {b"a": with_line(9, b"y")})
    mirror = await mirror_of(work, tmp_path, "ours", "theirs")

    assert not (await merge_tree(mirror, "refs/heads/ours", "refs/heads/theirs")).clean


TREE = b"e0ddd0713ac43627dde1ef3c709fdfd5343a9174"


@pytest.mark.parametrize(
    "output",
    [
        b"2\0" + TREE + b"\0\0",
        b"1\0not a tree\0\0",
        b"1\0" + TREE + b"\0surprise\0",
        b"0\0" + TREE + b"\0nonsense\0\0\0",
        b"0\0" + TREE + b"\0\0x\0",
        b"0\0" + TREE,
        b"1\0" + TREE + b"\0\0half",
    ],
)
def test_output_that_is_not_understood_is_no_verdict(output: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the point is that nothing is returned
        read_merges(output, is_complete=True)


def test_a_half_printed_merge_is_left_out_when_git_died() -> None:
    whole = b"1\0" + TREE + b"\0\0"
    assert len(read_merges(whole + b"0\0" + TREE + b"\0", is_complete=False)) == 1


async def test_whether_a_branch_is_behind_another(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    two_sides(work, {b"a": TEXT}, {b"b": b"1\n"}, {b"c": b"1\n"})
    mirror = await mirror_of(work, tmp_path, "main", "ours", "theirs")
    main, ours, theirs = [str(await mirror.get_commit(f"refs/heads/{name}")) for name in ("main", "ours", "theirs")]
    assert await commits_containing(mirror, main) == {main, ours, theirs}
    assert await commits_containing(mirror, ours) == {ours}
    with pytest.raises(GitError):
        await commits_containing(mirror, "f" * 40)
