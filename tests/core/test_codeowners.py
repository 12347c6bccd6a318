"""CODEOWNERS: which line counts for which file."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.escalation.codeowners import MAX_TEXT_LENGTH, owners_of, parse_owners


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*", ["a", "a/b.py", ".x/y"], []),
        ("*.js", ["a.js", "src/a.js"], ["a.jsx", "js"]),
        ("/build/logs/", ["build/logs/a", "build/logs/x/y"], ["src/build/logs/a", "build/logs"]),
        ("docs/*", ["docs/a.md"], ["docs/in/a.md", "x/docs/a.md"]),
        ("/*", ["README.md"], ["docs/a.md"]),
        ("apps/", ["apps/a", "x/apps/y/z"], ["apps", "x/apps"]),
        ("/docs/", ["docs/a", "docs/b/c"], ["x/docs/a"]),
        ("/scripts", ["scripts", "scripts/run.sh"], ["x/scripts/run.sh"]),
        ("**/logs", ["logs/a", "x/y/logs/b"], ["blogs/a"]),
        ("/docs/**", ["docs/a", "docs/a/b"], ["docs"]),
        ("docs/**/*.md", ["docs/a.md", "docs/x/y/a.md"], ["docs/a.txt"]),
        ("/app?/x", ["app1/x", "app2/x/y"], ["app/x", "app12/x"]),
        ("with\\ space.txt", ["with space.txt", "x/with space.txt"], ["with"]),
        ("\\#odd", ["#odd"], ["odd"]),
    ],
)
def test_what_a_pattern_means(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [owners_of(f"{pattern} @a", [path]) for path in yes] == [("a",)] * len(yes)
    assert [owners_of(f"{pattern} @a", [path]) for path in no] == [()] * len(no)


def test_the_last_line_that_matches_counts_also_without_owners() -> None:
    text = "* @alice\n/shop/ @acme/shop bob@example.org # theirs\n/shop/generated/\n"
    assert owners_of(text, ["README.md"]) == ("alice",)
    assert owners_of(text, ["shop/a.py"]) == ("acme/shop",), "an address cannot be mentioned"
    assert owners_of(text, ["shop/generated/a.py"]) == ()
    assert owners_of(text, ["shop/a.py", "shop/b.py", "README.md"]) == ("acme/shop", "alice")


def test_lines_that_make_no_sense_are_passed_over() -> None:
    text = "\n# nothing\n!a @a\n[ab].py @b\n/ @c\n* @no_such_login @-x @ok @" + "x" * 200 + "\n" + "y" * 400 + " @d\n"
    assert [rule.owners for rule in parse_owners(text)] == [("ok",)]
    assert parse_owners("x" * (MAX_TEXT_LENGTH + 1)) == ()


def test_no_pattern_is_slow() -> None:
    evil = "\n".join([f"{'*a' * 100}b @a", f"{'**/a/' * 50}b @a"] * 50)
    began = time.process_time()
    assert owners_of(evil, ["a" * 200, "a/" * 100 + "c"]) == ()
    assert time.process_time() - began < 5


@given(st.text(alphabet="*?/ab\\# @\n[!.", max_size=80), st.text(alphabet="ab/.", min_size=1, max_size=20))
def test_nothing_makes_it_stumble(text: str, path: str) -> None:
    assert isinstance(owners_of(text, [path]), tuple)
