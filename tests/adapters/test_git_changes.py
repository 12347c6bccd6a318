"""Which branches may conflict, told from the paths they change."""

from __future__ import annotations

import pytest

from adapters.git.changes import Changes, FileEdit, both_edited, candidate_pairs, read_changes

TREES = b"%s %s\n" % (b"1" * 40, b"2" * 40)


def record(before: str, after: str, status: str, path: bytes) -> bytes:
    return f":{before} {after} {'a' * 40} {'b' * 40} {status}".encode() + b"\0" + path + b"\0"


def test_changes_are_read_as_git_prints_them() -> None:
    output = b"".join(
        (
            TREES,
            record("040000", "000000", "D", b"gone"),
            record("100644", "000000", "D", b"gone/x"),
            record("000000", "100644", "A", b"new\n:name"),
            record("100644", "100755", "M", b"caf\xe9"),
            record("100644", "120000", "T", b"link"),
            TREES,
            TREES,
            record("160000", "160000", "M", b"sub"),
        )
    )
    first, nothing, last = read_changes(output)
    edit = FileEdit((b"100644", "a" * 40), (b"100755", "b" * 40))
    assert first.touched == {"gone/x", "new\n:name", "caf\udce9", "link"}
    assert (first.added, first.removed_folders, first.edited) == ({"new\n:name"}, {"gone"}, {"caf\udce9": edit})
    assert nothing == Changes()
    assert (last.touched, last.edited) == ({"sub"}, {})


@pytest.mark.parametrize("output", [b"no end", TREES + b":nonsense\0x\0", TREES + b":100644 100644 a b M\0x"])
def test_what_is_not_understood_is_no_answer(output: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the point is that nothing is returned
        read_changes(output)


def edits(**files: str) -> Changes:
    blobs = {path: FileEdit((b"100644", "0"), (b"100644", blob)) for path, blob in files.items()}
    return Changes(frozenset(blobs), edited=blobs)


def test_pairs_that_only_edit_the_same_files_are_separate_from_those_that_do_more() -> None:
    moves = Changes(frozenset({"a", "d/x", "e/x"}), frozenset({"e/x"}), frozenset({"d"}))
    adds = Changes(frozenset({"d/new"}), frozenset({"d/new"}))
    file = Changes(frozenset({"e"}), frozenset({"e"}))
    changes = {1: edits(a="1", b="1"), 2: edits(a="2", b="1"), 3: edits(c="1"), 4: moves, 5: adds, 6: file}

    found = candidate_pairs(changes)

    assert found.edit_pairs == {(1, 2)}
    assert found.full_pairs == {(1, 4), (2, 4), (4, 5), (4, 6)}
    assert both_edited(changes[1], changes[2]) == ["a"]
    only = candidate_pairs(changes, keys={5})
    assert (only.edit_pairs, only.full_pairs) == (frozenset(), {(4, 5)})
