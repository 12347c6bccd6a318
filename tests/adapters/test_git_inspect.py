"""Looking into a repository: its files, where a name is, and its history; whatever the repository tries."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.git import Git, GitError, GitTimeoutError
from adapters.git.inspect import find_symbols, list_files, read_history, resolve_commit
from tests.adapters.git_repositories import WorkTree

GIT = Git(allow_file_protocol=True)
SECONDS = 60.0


@pytest.fixture
def work(tmp_path: Path) -> WorkTree:
    return WorkTree(tmp_path / "work")


async def test_files_of_any_name_are_listed(work: WorkTree) -> None:
    strange = {
        b"a b.txt": b"1",
        b"with\nnewline": b"2",
        b"caf\xc3\xa9.py": b"3",
        b"\xff\xfe.bin": b"4",
        b'q"uote': b"5",
    }
    sha = work.commit({**strange, b"deep/er/x.py": b"6"})
    found = await list_files(GIT, work.folder / ".git", sha, timeout_seconds=SECONDS)
    assert set(found) == {"a b.txt", "with\nnewline", "café.py", "\ufffd\ufffd.bin", 'q"uote', "deep/er/x.py"}


async def test_a_name_is_found_as_a_word_and_nothing_is_executed(work: WorkTree) -> None:
    ran = work.folder.parent / "ran"
    work.git("config", "diff.evil.textconv", f"touch {ran}; cat")
    work.git("config", "filter.evil.smudge", f"touch {ran}; cat")
    sha = work.commit(
        {
            b".gitattributes": b"* diff=evil filter=evil\n",
            b"shop/cart.py": b"def total(prices):\n    return total_of(prices)\n",
            b"shop/tax.py": b"from shop.cart import total\nRATE = 1\n",
            b"docs/x\ny.md": b"see total and RATE\n",
            b"bin.dat": b"\0total\0",
            b"huge.min.js": b"total;" * 300_000,
        }
    )
    found = await find_symbols(
        GIT, work.folder / ".git", sha, ["total", "RATE", "nowhere", "-e"], timeout_seconds=SECONDS
    )
    assert found == {
        "total": ("docs/x\ny.md", "huge.min.js", "shop/cart.py", "shop/tax.py"),
        "RATE": ("docs/x\ny.md", "shop/tax.py"),
    }
    assert not ran.exists()
    assert await find_symbols(GIT, work.folder / ".git", sha, [], timeout_seconds=SECONDS) == {}
    assert await find_symbols(GIT, work.folder / ".git", sha, ["total"], timeout_seconds=0) == {}


async def test_the_history_has_each_merge_as_one_change(work: WorkTree) -> None:
    first = work.commit({b"a.py": b"1\n", b"b.py": b"1\n"}, "Begin\n\nM\nA\nb.py\x01")
    work.branch("topic")
    work.commit({b"a.py": b"2\n"}, "one")
    work.commit({b"c.py": b"1\n", b"b.py": None}, "two")
    work.git("checkout", "-q", "main")
    work.commit({}, "nothing at all")
    work.git("merge", "-q", "--no-ff", "-m", "Merge pull request #7 from acme/topic\n\nThe topic", "topic")
    newest = work.commit({b"d.py": b"1\n"}, "last")
    changes = await read_history(GIT, work.folder / ".git", newest, 10, timeout_seconds=SECONDS)
    assert [one.message.split("\n")[0] for one in changes] == [
        "last", "Merge pull request #7 from acme/topic", "nothing at all", "Begin",
    ]  # fmt: skip
    merge = changes[1]
    assert len(merge.parents) == 2
    assert set(merge.path_changes) == {("M", "a.py"), ("A", "c.py"), ("D", "b.py")}
    assert changes[2].path_changes == ()
    assert changes[3].paths == ("a.py", "b.py")
    assert changes[3].sha == first
    assert (
        await read_history(GIT, work.folder / ".git", newest, 10, timeout_seconds=SECONDS, after=merge.sha)
        == changes[:1]
    )
    assert await read_history(GIT, work.folder / ".git", newest, 2, timeout_seconds=SECONDS) == changes[:2]


async def test_what_is_not_there(work: WorkTree, tmp_path: Path) -> None:
    assert await resolve_commit(GIT, work.folder / ".git", "HEAD") is None, "nothing was committed yet"
    with pytest.raises(GitError, match="not a git repository"):
        await resolve_commit(GIT, tmp_path, "HEAD")
    sha = work.commit({b"a": b"1"})
    assert await resolve_commit(GIT, work.folder / ".git", "HEAD") == sha
    with pytest.raises(GitError):
        await list_files(GIT, work.folder / ".git", "0" * 40, timeout_seconds=SECONDS)
    with pytest.raises(GitTimeoutError):
        await list_files(GIT, work.folder / ".git", sha, timeout_seconds=0)


async def test_no_more_is_read_than_was_asked_for(work: WorkTree) -> None:
    sha = work.commit({b"f%d" % n: b"x" for n in range(2000)})
    cut = await GIT.run("ls-tree", "-r", "--name-only", sha, git_dir=work.folder / ".git", max_bytes=100, truncate=True)
    assert len(cut.stdout) == 100
    whole = await GIT.run(
        "ls-tree", "--name-only", sha, "f1", git_dir=work.folder / ".git", max_bytes=100, truncate=True
    )
    assert whole.stdout == b"f1\n"
    with pytest.raises(GitError, match="Not a valid object name"):
        await GIT.run("ls-tree", "nonsense", git_dir=work.folder / ".git", max_bytes=100, truncate=True)
    fed = await GIT.run(
        "hash-object", "--stdin", git_dir=work.folder / ".git", stdin=b"x" * 300_000, max_bytes=1000, truncate=True
    )
    assert len(fed.stdout) == 41
