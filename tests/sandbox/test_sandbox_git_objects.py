"""The sandbox's own reading and writing of repositories matches git."""

import asyncio
import random
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.git.command import GitCommandError, run_git
from sandbox.git.objects import ZERO, GitIdentity
from sandbox.git.protocol import fetch_capabilities, ls_refs_response, parse_ls_refs, push_advertisement
from sandbox.git.repository import GitRepository

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ALICE = GitIdentity("Alice <x>", "alice@example.com")
NAMES = ("a", "b", "d/a", "d/b", "d/e/f", "d.x", "d-y", "z/z", "\u00e9", "run.sh")


@pytest.fixture
def shop(tmp_path: Path) -> GitRepository:
    files: dict[str, str | bytes] = {"README.md": "# Shop\n", "d/a": "1\n", "bin": b"\0\1"}
    return GitRepository.create(tmp_path / "shop.git", files, author=ALICE, when=NINE)


def told(shop: GitRepository, *arguments: str, allowed: Sequence[int] = (0,)) -> str:
    done = subprocess.run(["git", *arguments], cwd=shop.path, capture_output=True, check=False)
    assert done.returncode in allowed, done.stderr
    return done.stdout.decode().strip()


def sound(shop: GitRepository) -> None:
    assert told(shop, "fsck", "--strict", "--no-dangling", "--no-progress") == ""


async def grown(shop: GitRepository, seed: int, commits: int = 30) -> list[str]:
    """Create a history with branches and merges, where many commits have the same time, and return its commits."""
    chance = random.Random(seed)
    made = [shop.head()]
    for number in range(commits):
        when = NINE + timedelta(seconds=chance.choice((0, 0, 1, number)))
        parents = list(dict.fromkeys(chance.choices(made[-6:], k=chance.choice((1, 1, 2, 3)))))
        tree = (await shop.commit(parents[0])).tree
        blob = await shop.write_blob(b"%d\n" % chance.randrange(5))
        entries = [
            ("100644", blob if chance.random() < 0.8 else None, name)
            for name in chance.sample(NAMES, chance.randrange(3))
        ]
        tree = await shop.write_tree(tree, entries)
        made.append(await shop.commit_tree(tree, parents, f"{number}\n", author=ALICE, when=when))
        await shop.update_ref(f"refs/heads/b{number}", made[-1])
    return made


@pytest.mark.parametrize("seed", range(3))
async def test_history_matches_git(shop: GitRepository, seed: int) -> None:
    made = await grown(shop, seed)
    chance = random.Random(seed)
    sound(shop)
    for _ in range(5):
        one, other = chance.choices(made, k=2)
        assert [commit.sha for commit in shop.log(one)] == told(shop, "rev-list", one).split()
        between = told(shop, "rev-list", f"{one}..{other}").split()
        assert [commit.sha for commit in await shop.commits(f"{one}..{other}")] == between
        assert await shop.commits_between(one, other) == frozenset(between)
        assert [commit.sha for commit in await shop.commits(other, limit=5)] == told(
            shop, "rev-list", "-5", other
        ).split()
        assert await shop.merge_base(one, other) == told(shop, "merge-base", one, other)
        assert await shop.is_ancestor(one, other) is (told(shop, "merge-base", one, other) == one)


@pytest.mark.parametrize("seed", range(3))
async def test_merges_match_git(shop: GitRepository, seed: int) -> None:
    made = await grown(shop, seed)
    chance = random.Random(seed)
    for one, other in [chance.choices(made, k=2) for _ in range(6)]:
        merge = await shop.merge(one, other)
        said = told(shop, "merge-tree", "--write-tree", "--name-only", "--no-messages", one, other, allowed=(0, 1))
        tree, *paths = said.splitlines()
        assert merge.tree == (None if paths else tree)


@pytest.mark.parametrize("seed", range(3))
async def test_trees_match_git(shop: GitRepository, seed: int) -> None:
    """The same changes by `git update-index`, in a separate index."""
    chance = random.Random(seed)
    tree = (await shop.commit(shop.head())).tree
    index = {"GIT_INDEX_FILE": str(shop.path / "an-index")}
    await shop.git("read-tree", tree, environment=index)
    for _ in range(10):
        name = chance.choice((*NAMES, "d/a/x", "b/c", "d"))
        sha = await shop.write_blob(b"%d" % chance.randrange(9)) if chance.random() < 0.7 else None
        if sha is None and name not in told_paths(shop, tree):
            continue  # `update-index` removes files, but not folders
        mode = chance.choice(("100644", "100755", "120000"))
        line = f"{mode if sha else 0} {sha or ZERO}\t{name}\0".encode()
        await shop.git("update-index", "-z", "--index-info", stdin=line, environment=index)
        tree = await shop.write_tree(tree, [(mode, sha, name)])
        assert tree == await shop.git("write-tree", environment=index)
    listed = told(shop, "ls-tree", "-z", "-l", "-r", "-t", tree).rstrip("\0").split("\0")
    assert [
        f"{mode} {kind} {sha} {'-' if size is None else size:>7}\t{path}"
        for mode, kind, sha, size, path in await shop.tree(tree, recursive=True)
    ] == listed


def told_paths(shop: GitRepository, tree: str) -> list[str]:
    return told(shop, "ls-tree", "-r", "-z", "--name-only", tree).split("\0")


async def test_commits_match_git(shop: GitRepository) -> None:
    tree, head = (await shop.commit(shop.head())).tree, shop.head()
    odd = GitIdentity('.. "Bob" <b>\n, ', " bob@example.com;")
    message = "T\u00eft\u0142e\n\nwith a body\n\n"
    environment = {
        "GIT_AUTHOR_NAME": odd.name,
        "GIT_AUTHOR_EMAIL": odd.email,
        "GIT_AUTHOR_DATE": f"{int(NINE.timestamp())} +0000",
        "GIT_COMMITTER_NAME": ALICE.name,
        "GIT_COMMITTER_EMAIL": ALICE.email,
        "GIT_COMMITTER_DATE": f"{int(NINE.timestamp()) + 5} +0000",
    }
    by_git = await shop.git("commit-tree", tree, "-p", head, stdin=message.encode(), environment=environment)
    later = NINE + timedelta(seconds=5)

    made = await shop.commit_tree(
        tree, [head, head], message, author=odd, authored_at=NINE, committer=ALICE, when=later
    )

    assert made == by_git
    assert await shop.commits(made, limit=1) == await shop.commits(
        "--max-count=1", made
    )  # read by the sandbox, read by git
    for bad_tree, bad_parent in ((head, head), (tree, tree), (tree, "1" * 40)):
        with pytest.raises(GitCommandError):
            await shop.commit_tree(bad_tree, [bad_parent], "x", author=ALICE, when=NINE)


async def test_files_replace_folders_of_the_same_name(shop: GitRepository) -> None:
    await shop.write_commit(
        "main", {"d": "a file\n", "README.md/x": "#!/bin/sh\n", "bin": None}, "x", author=ALICE, when=NINE
    )
    assert told(shop, "ls-tree", "-r", "main").split("\n")[0].startswith("100755 blob")
    assert told_paths(shop, "main")[:-1] == ["README.md/x", "d"]
    await shop.write_commit("main", {"d": None, "README.md/x": None}, "nothing is left", author=ALICE, when=NINE)
    assert told_paths(shop, "main") == [""]
    assert await shop.tree("main") == []
    for path in ("", "a//b", "../x", ".git/config"):
        with pytest.raises(GitCommandError, match="invalid path"):
            await shop.write_commit("main", {path: "x"}, "x", author=ALICE, when=NINE)
    sound(shop)


async def test_packed_objects_are_read(shop: GitRepository) -> None:
    made = await grown(shop, 1)
    told(shop, "gc", "--quiet", "--prune=now")
    again = GitRepository(shop.path)

    assert again.log(made[-1]) == shop.log(made[-1])
    assert again.branches() == shop.branches() == told(shop, "branch", "--format=%(refname:short)").split()
    assert again.read("main", "README.md") == "# Shop\n"
    assert await again.resolve(made[3]) == made[3]
    assert await again.resolve("1" * 40) is None
    sound(again)


async def test_moved_refs_match_git(shop: GitRepository) -> None:
    made = await grown(shop, 2, commits=6)
    told(shop, "tag", "--annotate", "--message=x", "v1", made[1])
    told(shop, "pack-refs", "--all")
    await shop.update_ref("refs/heads/b1", made[4])
    await shop.update_ref("refs/heads/b2", ZERO)
    await shop.update_ref("refs/heads/deep/er/work", made[2])
    listed = told(shop, "for-each-ref", "--format=%(refname) %(objectname)", "refs/").splitlines()
    assert [f"{name} {sha}" for name, sha in (await shop.refs()).items()] == listed
    assert await shop.resolve("v1") == shop.ref("refs/tags/v1") != made[1]
    assert shop.peel(str(shop.ref("refs/tags/v1"))) == made[1]
    for name in ("refs/heads/main/below", "refs/heads/deep", "refs/heads/b~1", "refs/heads/x.lock", "refs/heads/.x"):
        with pytest.raises(GitCommandError):
            await shop.update_ref(name, made[0])
    for new in ("1" * 40, (await shop.commit(made[0])).tree):
        with pytest.raises(GitCommandError):
            await shop.update_ref("refs/heads/b3", new)
    await shop.update_ref("refs/heads/deep/er/work", ZERO)
    await shop.update_ref("refs/heads/deep", made[0])
    (shop.path / "refs/heads/b4.lock").touch()
    with pytest.raises(GitCommandError, match="locked"):
        await shop.update_ref("refs/heads/b4", made[0])


async def test_ref_advertisements_match_git(shop: GitRepository) -> None:
    """Byte by byte, except the capabilities, which differ by git version."""
    await grown(shop, 2, commits=4)
    told(shop, "tag", "--annotate", "--message=x", "v1", "main")
    refs = await shop.refs()
    _, by_git = await run_git(["receive-pack", "--http-backend-info-refs", "."], directory=shop.path)
    offer = push_advertisement(refs).split(b"0000", 1)[1]
    assert without_abilities(offer) == without_abilities(by_git)
    assert fetch_capabilities().startswith(b"000eversion 2\n")

    lines = [
        "command=ls-refs\n",
        "agent=x\n",
        None,
        "peel\n",
        "symrefs\n",
        "ref-prefix HEAD\n",
        "ref-prefix refs/tags/\n",
    ]
    asked = (
        b"".join(b"0001" if line is None else b"%04x%s" % (len(line) + 4, line.encode()) for line in lines) + b"0000"
    )
    _, answer = await run_git(
        ["upload-pack", "--stateless-rpc", "."],
        directory=shop.path,
        stdin=asked,
        environment={"GIT_PROTOCOL": "version=2"},
    )
    wanted = parse_ls_refs(asked)
    assert wanted is not None
    peeled = {"refs/tags/v1": shop.head()}
    assert ls_refs_response(wanted, shop.ref_store.head(), refs, peeled) == answer
    assert parse_ls_refs(b"0012command=fetch\n0000") is None


def without_abilities(offer: bytes) -> list[bytes]:
    first, *rest = offer.split(b"\n")
    return [first.partition(b"\0")[0][4:], *rest]


@pytest.mark.parametrize("body", [b"zzzz", b"0003", b"0099short"])
def test_an_invalid_protocol_request_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each is another mistake
        parse_ls_refs(body)


async def test_an_empty_repository_matches_git(tmp_path: Path) -> None:
    empty = GitRepository.create(tmp_path / "empty.git", {}, author=ALICE, when=NINE)
    assert (empty.branches(), await empty.refs(), empty.ref_store.head()) == ([], {}, "refs/heads/main")
    assert ls_refs_response(["symrefs", "unborn"], "refs/heads/main", {}, {}) == (
        b"002eunborn HEAD symref-target:refs/heads/main\n0000"
    )
    await asyncio.to_thread(sound, empty)
