"""Whatever a repository brings: a verdict, or a clear word that there is none; no crash, and nothing is executed."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from adapters.git.matrix import Matrix
from adapters.git.merge import MergeError, merge_trees
from adapters.git.mirror import Mirror
from adapters.git.process import Git
from tests.adapters import git_histories
from tests.adapters.git_repositories import TEXT, WorkTree, mirror_of, with_line
from tests.manual_loop import HANGING_SCRIPT, ManualLoop


def three_branches(
    work: WorkTree, base: dict[bytes, bytes | None], one: bytes, two: bytes, path: bytes
) -> dict[int, str]:
    """Main, two branches that change a file, and one that does something else."""
    work.commit(base)
    heads = {}
    for number, content in enumerate((one, two), start=1):
        work.branch(f"b{number}")
        heads[number] = work.commit({path: content})
    work.branch("b3")
    heads[3] = work.commit({b"elsewhere": b"1\n"})
    work.branch("main", "main")
    return heads


async def test_strangers_and_commits_that_are_gone_have_no_verdict_and_the_others_have_theirs(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    heads = three_branches(work, {b"a": TEXT}, with_line(9, b"x"), with_line(9, b"y"), b"a")
    work.git("checkout", "-q", "--orphan", "stranger")
    work.git("rm", "-rqf", ".")
    heads |= {4: work.commit({b"s": b"1\n"}), 5: "f" * 40, 6: "no commit", 7: work.sha("main^{tree}")}
    mirror = await mirror_of(work, tmp_path, "main", "b1", "b2", "b3", "stranger")

    found = await Matrix().compare(mirror, work.sha("main"), heads)

    assert {key: trial.clean for key, trial in found.base_merges.items()} == {
        1: True, 2: True, 3: True, 4: None, 5: None, 6: None, 7: None,
    }  # fmt: skip
    assert "unrelated histories" in found.base_merges[4].problem
    assert all("not a commit that was fetched" in found.base_merges[key].problem for key in (5, 6, 7))
    assert [(clash.low, clash.high) for clash in found.conflicts] == [(1, 2)]
    assert {pair for pair in found.undecided if 4 in pair} == {(1, 4), (2, 4), (3, 4), (4, 5), (4, 6), (4, 7)}
    assert not mirror.path.with_suffix(".suspect").exists()  # strangers are no damage


async def test_an_empty_repository_and_a_missing_base_are_reported_per_branch(tmp_path: Path) -> None:
    empty = WorkTree(tmp_path / "work")
    mirror = await mirror_of(empty, tmp_path, "main")
    nothing = await Matrix().compare(mirror, "0" * 40, {1: "1" * 40, 2: "2" * 40})
    assert {trial.clean for trial in nothing.base_merges.values()} == {None}
    assert nothing.undecided.keys() == {(1, 2)}
    assert (await Matrix().compare(mirror, "0" * 40, {})).base_merges == {}

    never = Mirror(tmp_path / "never", 2, "https://github.com/acme/shop.git")
    with pytest.raises(MergeError):
        await Matrix().compare(never, "0" * 40, {1: "1" * 40})


async def test_a_lost_object_is_no_verdict_and_the_next_fetch_heals_it(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    heads = three_branches(work, {b"a": TEXT}, with_line(2, b"x"), with_line(18, b"y"), b"a")
    mirror = await mirror_of(work, tmp_path, "main", "b1", "b2", "b3")
    lost = work.sha("b1:a")
    (mirror.path / "objects" / lost[:2] / lost[2:]).unlink()
    matrix = Matrix()

    found = await matrix.compare(mirror, work.sha("main"), heads)
    assert found.undecided.keys() == {(1, 2)}
    assert lost in found.undecided[1, 2]

    await mirror.fetch([f"refs/heads/{name}" for name in ("main", "b1", "b2", "b3")])
    assert (await matrix.compare(mirror, work.sha("main"), heads)).mergeable == ((1, 2),)


async def test_one_merge_on_which_git_hangs_costs_no_other_its_verdict(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    heads = three_branches(work, {b"a": TEXT}, with_line(2, b"x"), with_line(2, b"y"), b"a")
    mirror = await mirror_of(work, tmp_path, "main", "b1", "b2", "b3")
    slow, ready = tmp_path / "slow-git", tmp_path / "ready"
    slow.write_text(
        '#!/bin/sh\n[ "$1" = merge-tree ] || exec git "$@"\nasked="$(cat)"\n'
        f'case "$asked" in *{heads[2]}*{heads[2]}*) {HANGING_SCRIPT.format(signal=ready)};; esac\n'
        'printf "%s\\n" "$asked" | git "$@"\n'
    )
    slow.chmod(0o755)
    mirror.git = Git(timeout=60, executable=str(slow))
    one, two, three = heads[1], heads[2], heads[3]

    with ManualLoop().advance_on_signal(ready, 61):
        first, second, third = await merge_trees(mirror, [(one, three), (two, two), (one, two)])

    assert not isinstance(first, MergeError)
    assert isinstance(second, MergeError)
    assert "took too long" in str(second)
    assert not isinstance(third, MergeError)
    assert (first.clean, third.clean) == (True, False)


async def test_a_git_that_dies_by_itself_is_no_damage(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work")
    heads = three_branches(work, {b"a": TEXT}, with_line(2, b"x"), with_line(2, b"y"), b"a")
    mirror = await mirror_of(work, tmp_path, "main", "b1", "b2", "b3")
    dying = tmp_path / "dying-git"
    dying.write_text(
        '#!/bin/sh\n[ "$1" = merge-tree ] || exec git "$@"\necho "git: Assertion failed" >&2\nkill -6 $$\n'
    )
    dying.chmod(0o755)
    mirror.git = Git(executable=str(dying))

    found = await Matrix().compare(mirror, work.sha("main"), heads)

    assert {trial.clean for trial in found.base_merges.values()} == {None}
    assert "git itself failed on this merge: git: Assertion failed" in found.base_merges[1].problem
    assert not mirror.path.with_suffix(".suspect").exists()


async def test_merges_that_do_not_fit_in_memory_are_tried_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr("adapters.git.maintenance.IN_MEMORY", memory)
    monkeypatch.setattr("adapters.git.scratch.IN_MEMORY", memory)
    work = WorkTree(tmp_path / "work")
    heads = three_branches(work, {b"a": TEXT}, with_line(2, b"x"), with_line(2, b"y"), b"a")
    mirror = await mirror_of(work, tmp_path, "main", "b1", "b2", "b3")
    full, places = tmp_path / "full-git", tmp_path / "places"
    full.write_text(
        f'#!/bin/sh\n[ "$1" = merge-tree ] || exec git "$@"\necho "$GIT_OBJECT_DIRECTORY" >> {places}\n'
        f'case "$GIT_OBJECT_DIRECTORY" in {memory}/*)\n'
        'echo "error: unable to write file: No space left on device" >&2; exit 128;; esac\nexec git "$@"\n'
    )
    full.chmod(0o755)
    mirror.git = Git(executable=str(full))

    [clash] = (await Matrix().compare(mirror, work.sha("main"), heads)).conflicts

    assert (clash.low, clash.high) == (1, 2)
    first, *others = places.read_text().split()
    assert Path(first).parent == memory
    assert {Path(place).parent for place in others} == {mirror.path.parent}
    assert not list(memory.iterdir())
    assert not mirror.path.with_suffix(".suspect").exists()  # a full disk is no damage

    mirror.in_memory = True
    [verdict] = await merge_trees(mirror, [(heads[1], heads[2])])
    assert not isinstance(verdict, MergeError)
    assert not verdict.clean


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 12345\n"
NAMES = (b"a b 'c' \"d\"", b"new\nline\ttab", b"caf\xe9", b":(top)*", b"-rf", b"\xf0\x9f\x8d\xb0/x")


@pytest.mark.parametrize("name", NAMES)
async def test_odd_names_are_compared_like_all_others(tmp_path: Path, name: bytes) -> None:
    work = WorkTree(tmp_path / "work")
    heads = three_branches(work, {name: TEXT}, with_line(9, b"x"), with_line(9, b"y"), name)
    work.branch("b4")
    heads[4] = work.commit({name: with_line(18, b"z")})
    mirror = await mirror_of(work, tmp_path, "main", "b1", "b2", "b3", "b4")

    found = await Matrix().compare(mirror, work.sha("main"), heads)

    shown = name.decode("utf-8", "backslashreplace")
    assert [(clash.low, clash.high, clash.files[0].path) for clash in found.conflicts] == [(1, 2, shown)]
    assert found.conflicts[0].files[0].ours[0].first == 9
    assert found.base_merges[1].touched == {shown}
    assert found.mergeable == ((1, 4), (2, 4))


async def test_pointers_to_large_files_and_huge_binaries_are_compared_and_nothing_is_run(tmp_path: Path) -> None:
    """Filters of the repository would make files, if anything ran them."""
    proof = tmp_path / "executed"
    work = WorkTree(tmp_path / "work")
    attributes = b"*.bin filter=lfs diff=lfs merge=lfs -text\n* merge=evil filter=evil\n"
    huge = random.Random(1).randbytes(3_000_000)
    evil = b'[merge "evil"]\n\tdriver = touch %s\n[filter "lfs"]\n\tsmudge = touch %s\n' % ((bytes(proof),) * 2)
    base: dict[bytes, bytes | None] = {
        b".gitattributes": attributes, b".gitconfig": evil, b"x.bin": LFS % (b"0" * 64), b"huge": huge, b"out": b"1\n",
    }  # fmt: skip
    work.commit(base)
    heads = {}
    for number in (1, 2):
        work.branch(f"b{number}")
        (work.folder / "out").unlink()
        (work.folder / "out").symlink_to(f"../../../etc/{number}")
        changed: dict[bytes, bytes | None] = {b"x.bin": LFS % (b"%d" % number * 64), b"huge": b"%d" % number + huge}
        heads[number] = work.commit(changed)
    mirror = await mirror_of(work, tmp_path, "main", "b1", "b2")
    hook = mirror.path / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {proof}\n")
    hook.chmod(0o755)

    [clash] = (await Matrix().compare(mirror, work.sha("main"), heads)).conflicts

    assert {file.path: (file.kind, bool(file.ours)) for file in clash.files} == {
        "huge": ("binary", False),
        "out": ("contents", False),
        "x.bin": ("contents", True),
    }
    assert not proof.exists()


def many_files(folder: Path) -> dict[str, str]:
    """A bare repository with a hundred thousand files, and four branches that edit one of them: commits by mark."""
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True, env=git_histories.ENVIRONMENT)
    who = "committer Ada <ada@example.com> 1700000000 +0000\ndata 1\nx\n"
    stream = [f"blob\nmark :1\ndata {len(TEXT)}\n".encode() + TEXT, f"commit refs/heads/main\nmark :2\n{who}".encode()]
    stream += [b"M 100644 :1 %d/%d/%d\n" % (n // 2500, n // 50 % 50, n) for n in range(100_000)]
    for number in range(1, 5):
        content = with_line(number // 2 * 9 + 1, b"%d" % number)
        stream.append(f"commit refs/heads/b{number}\nmark :{number + 2}\n{who}from :2\n".encode())
        stream.append(b"M 100644 inline 7/7/17850\ndata %d\n%s\n" % (len(content), content))
    subprocess.run(
        ["git", "fast-import", "--quiet", "--date-format=raw", "--export-marks=marks"],
        cwd=folder,
        input=b"".join(stream),
        check=True,
        env=git_histories.ENVIRONMENT,
    )
    return dict(line.split() for line in (folder / "marks").read_text(encoding="ascii").splitlines())


async def test_a_hundred_thousand_files_are_no_hindrance(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, 1, "https://github.com/acme/shop.git")
    mirror.path.parent.mkdir()
    marks = many_files(mirror.path)

    found = await Matrix().compare(mirror, marks[":2"], {number: marks[f":{number + 2}"] for number in range(1, 5)})

    assert [(clash.low, clash.high) for clash in found.conflicts] == [(2, 3)]
    assert len(found.mergeable) == 5
