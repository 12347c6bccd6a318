"""All pairs of branches: few merges give the verdicts that merging every pair would."""

from __future__ import annotations

from pathlib import Path

from adapters.git.matrix import Matrix
from adapters.git.process import Git
from tests.adapters.git_repositories import TEXT, WorkTree, mirror_of, with_line


async def test_branches_are_compared_with_the_base_and_with_each_other(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    work.commit({b"a": TEXT, b"b": TEXT, b"c": TEXT})
    work.branch("one")
    work.commit({b"a": with_line(2, b"one")})
    work.branch("two")
    work.commit({b"a": with_line(2, b"two")})
    work.branch("three")
    work.commit({b"a": with_line(18, b"three"), b"b": with_line(1, b"three")})
    work.branch("late")
    work.commit({b"c": with_line(5, b"late")})
    work.branch("main", "main")
    work.commit({b"c": with_line(5, b"main")})
    names = ["one", "two", "three", "late"]
    mirror = await mirror_of(work, tmp_path, "main", *names)
    heads = {number: work.sha(name) for number, name in enumerate(names, start=11)}

    found = await Matrix().compare(mirror, work.sha("main"), heads)

    assert {key: trial.clean for key, trial in found.base_merges.items()} == {11: True, 12: True, 13: True, 14: False}
    assert found.base_merges[13].touched == {"a", "b"}
    assert [(file.path, file.kind) for file in found.base_merges[14].files] == [("c", "contents")]
    assert [(clash.low, clash.high, clash.files[0].path) for clash in found.conflicts] == [(11, 12, "a")]
    assert found.mergeable == ((11, 13), (12, 13))
    assert found.undecided == {}
    assert not list(mirror.path.parent.glob("merge-*"))


async def test_one_push_is_compared_with_the_others_alone(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    work.commit({b"a": TEXT})
    for name in ("one", "two", "three"):
        work.branch(name)
        work.commit({b"a": with_line(2, name.encode())})
    mirror = await mirror_of(work, tmp_path, "main", "one", "two", "three")
    matrix, base = Matrix(), work.sha("main")
    heads = {number: work.sha(name) for number, name in enumerate(("one", "two", "three"))}

    assert [(clash.low, clash.high) for clash in (await matrix.compare(mirror, base, heads, keys=[1])).conflicts] == [
        (0, 1),
        (1, 2),
    ]
    assert len((await matrix.compare(mirror, base, heads)).conflicts) == 3


async def test_the_lines_of_a_clash_are_those_of_each_pull_request_also_when_main_went_on(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    work.commit({b"a": TEXT, b"b": TEXT.upper(), b"caf\xe9": TEXT})
    for name in ("one", "two"):
        work.branch(name)
        said = name.encode()
        work.commit({b"a": with_line(12, said), b"b": with_line(9, said, TEXT.upper()), b"caf\xe9": with_line(8, said)})
    work.branch("main", "main")
    above = b"1\n2\n3\n"
    work.commit({b"a": above + TEXT, b"b": None, b"moved": above + TEXT.upper(), b"caf\xe9": above + TEXT})
    work.branch("new")
    work.commit({b"a": above + with_line(12, b"new"), b"moved": above + with_line(9, b"new", TEXT.upper())})
    mirror = await mirror_of(work, tmp_path, "main", "one", "two", "new")
    heads = {number: work.sha(name) for number, name in enumerate(("one", "two", "new"))}
    matrix = Matrix()

    for _ in range(2):
        found = await matrix.compare(mirror, work.sha("main"), heads)
        lines = {
            (clash.low, clash.high, file.path): (file.ours[0].first, file.theirs[0].first)
            for clash in found.conflicts
            for file in clash.files
        }
        assert lines == {
            (0, 1, "a"): (12, 12),
            (0, 1, "moved"): (9, 9),
            (0, 1, "caf\\xe9"): (8, 8),
            (0, 2, "a"): (12, 15),
            (0, 2, "moved"): (9, 12),
            (1, 2, "a"): (12, 15),
            (1, 2, "moved"): (9, 12),
        }
        matrix._pairs.clear()  # the branches are known by now, and their merged files are not in the mirror


async def test_a_push_costs_few_processes_and_what_is_known_none(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    work.commit({b"a": TEXT, b"b": TEXT})
    heads = {}
    for number in range(6):
        work.branch(f"b{number}")
        heads[number] = work.commit({b"a" if number < 4 else b"b": with_line(2 + 3 * number, b"%d" % number)})
    work.branch("new")
    new = work.commit({b"a": with_line(19, b"new")})
    notes, spy = tmp_path / "commands", tmp_path / "counting-git"
    spy.write_text(f'#!/bin/sh\necho "$1" >> {notes}\nexec git "$@"\n')
    spy.chmod(0o755)
    mirror = await mirror_of(work, tmp_path, "main", "new", *(f"b{number}" for number in heads))
    mirror.git = Git(executable=str(spy))
    matrix, base = Matrix(), work.sha("main")

    first = await matrix.compare(mirror, base, heads)
    assert notes.read_text().split() == ["cat-file", "cat-file", "diff-tree", "merge-tree", "merge-tree"]
    notes.write_text("")
    again = await matrix.compare(mirror, base, heads)
    assert notes.read_text() == ""
    pushed = await matrix.compare(mirror, base, {**heads, 9: new}, keys=[9])

    assert notes.read_text().split() == ["cat-file", "diff-tree", "merge-tree", "merge-tree"]
    assert again == first
    assert (first.conflicts, len(first.mergeable)) == ((), 7)
    assert (pushed.conflicts, pushed.mergeable) == ((), ((0, 9), (1, 9), (2, 9), (3, 9)))
