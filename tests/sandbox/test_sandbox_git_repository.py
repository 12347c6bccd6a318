"""The sandbox's repositories: commits, merges and differences."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.git.command import GitCommandError
from sandbox.git.objects import ZERO, GitIdentity
from sandbox.git.repository import GitRepository

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ALICE = GitIdentity("Alice", "alice@example.com")


@pytest.fixture
def shop(tmp_path: Path) -> GitRepository:
    files: dict[str, str | bytes] = {
        "shop/cart.py": "a = 1\nb = 2\nc = 3\nd = 4\n",
        "README.md": "# Shop\n",
        "a file": b"\x00\x01",
    }
    return GitRepository.create(tmp_path / "acme" / "shop.git", files, author=ALICE, when=NINE)


def test_a_new_repository_has_one_commit_with_its_files(shop: GitRepository) -> None:
    assert shop.branches() == ["main"]
    assert shop.read("main", "README.md") == "# Shop\n"
    (only,) = shop.log()
    assert (only.sha, only.message, only.author, only.authored_at) == (
        shop.head(),
        "Initial commit",
        ALICE,
        NINE,
    )


def test_the_same_commits_have_the_same_shas(tmp_path: Path) -> None:
    made = [GitRepository.create(tmp_path / name, {"a": "1"}, author=ALICE, when=NINE).head() for name in ("x", "y")]
    assert made[0] == made[1]


def test_missing_objects_raise_errors(shop: GitRepository) -> None:
    with pytest.raises(KeyError, match="no branch 'gone'"):
        shop.head("gone")
    with pytest.raises(KeyError, match=r"no file 'gone\.py'"):
        shop.read("main", "gone.py")


async def test_commits_change_add_and_delete_files(shop: GitRepository) -> None:
    change = await shop.write_commit(
        "work", {"new.py": "x = 1\n", "README.md": None}, "Work\n\nwith a body", author=ALICE, when=NINE
    )
    assert (change.ref, change.before, change.after) == ("refs/heads/work", ZERO, shop.head("work"))
    assert shop.log("work")[0].message == "Work\n\nwith a body"
    files = {c.path: c for c in await shop.changes(shop.head(), shop.head("work"))}
    assert {path: c.status for path, c in files.items()} == {"new.py": "added", "README.md": "removed"}
    assert files["new.py"].patch == "@@ -0,0 +1 @@\n+x = 1"
    assert len(await shop.commits_between("main", "work")) == 1


async def test_renames_and_binary_files_are_detected(shop: GitRepository) -> None:
    text = shop.read("main", "shop/cart.py")
    await shop.write_commit(
        "work",
        {"shop/cart.py": None, "shop/basket.py": text, "a file": b"\x00\x02"},
        "Move",
        author=ALICE,
        when=NINE,
    )
    files = {c.path: c for c in await shop.changes(shop.head(), shop.head("work"))}
    assert files["shop/basket.py"].previous_path == "shop/cart.py"
    assert files["shop/basket.py"].status == "renamed"
    assert (files["a file"].additions, files["a file"].patch) == (0, None)


async def test_merges_in_memory_are_clean_or_name_the_conflicting_paths(shop: GitRepository) -> None:
    for branch, text in (
        ("one", "a = 10\nb = 2\nc = 3\nd = 4\n"),
        ("two", "a = 1\nb = 2\nc = 3\nd = 40\n"),
        ("three", "a = 11\n"),
    ):
        await shop.write_commit(branch, {"shop/cart.py": text}, branch, author=ALICE, when=NINE)
    clean = await shop.merge(shop.head("one"), shop.head("two"))
    assert clean.tree is not None
    assert shop.read(clean.tree, "shop/cart.py") == "a = 10\nb = 2\nc = 3\nd = 40\n"
    clash = await shop.merge(shop.head("one"), shop.head("three"))
    assert (clash.tree, clash.conflicts) == (None, ("shop/cart.py",))


async def test_a_ref_moves_only_from_the_expected_object(shop: GitRepository) -> None:
    main = shop.head()
    change = await shop.write_commit("work", {"x": "1"}, "x", author=ALICE, when=NINE)
    with pytest.raises(GitCommandError):
        await shop.update_ref("refs/heads/main", change.after, change.after)
    await shop.update_ref("refs/heads/main", change.after, main)
    assert shop.head() == change.after
    await shop.update_ref("refs/heads/work", ZERO)
    assert not shop.has_branch("work")


async def test_names_resolve_only_to_commits(shop: GitRepository) -> None:
    assert await shop.resolve("main") == shop.head()
    assert await shop.resolve(shop.head()[:8]) == shop.head()
    assert await shop.resolve("nothing") is None
    assert await shop.resolve("--all") is None
    assert await shop.resolve("../../config") is None
