"""All pairs of branches: few merges give the verdicts that merging every pair would."""

from __future__ import annotations

from pathlib import Path

from git_repositories import Work

from adapters.git.matrix import Matrix
from adapters.git.mirror import Mirror
from adapters.git.runner import Git

TEXT = b"".join(b"line %d\n" % number for number in range(1, 21))


def with_line(number: int, text: bytes, source: bytes = TEXT) -> bytes:
    lines = source.splitlines(keepends=True)
    lines[number - 1] = text + b"\n"
    return b"".join(lines)


async def mirror_of(work: Work, tmp_path: Path, *branches: str) -> Mirror:
    mirror = Mirror(tmp_path / "data", 1, f"file://{work.folder}", Git(allow_file_protocol=True))
    await mirror.fetch([f"refs/heads/{branch}" for branch in branches])
    return mirror


async def test_branches_are_compared_with_the_base_and_with_each_other(tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
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

    assert {key: trial.clean for key, trial in found.trials.items()} == {11: True, 12: True, 13: True, 14: False}
    assert found.trials[13].touched == {"a", "b"}
    assert [(file.path, file.kind) for file in found.trials[14].files] == [("c", "contents")]
    assert [(clash.one, clash.other, clash.files[0].path) for clash in found.clashes] == [(11, 12, "a")]
    assert found.shared == ((11, 13), (12, 13))
    assert found.unknown == {}
    assert not list(mirror.path.parent.glob("merge-*"))


async def test_one_push_is_compared_with_the_others_alone(tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    work.commit({b"a": TEXT})
    for name in ("one", "two", "three"):
        work.branch(name)
        work.commit({b"a": with_line(2, name.encode())})
    mirror = await mirror_of(work, tmp_path, "main", "one", "two", "three")
    matrix, base = Matrix(), work.sha("main")
    heads = {number: work.sha(name) for number, name in enumerate(("one", "two", "three"))}

    assert [(clash.one, clash.other) for clash in (await matrix.compare(mirror, base, heads, of=[1])).clashes] == [
        (0, 1),
        (1, 2),
    ]
    assert len((await matrix.compare(mirror, base, heads)).clashes) == 3
