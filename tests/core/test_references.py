"""Which task a pull request belongs to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.intake.references import branch_name, closing_references, parse_branch

REPOSITORY = "acme/shop"


@pytest.mark.parametrize(
    "word", ["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "Resolved", "FIXES"]
)
def test_each_of_githubs_keywords_counts(word: str) -> None:
    assert closing_references(f"{word} #12", REPOSITORY) == (12,)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Fixes: #3", (3,)),
        ("fixes #1, closes acme/shop#2 and resolves https://github.com/acme/shop/issues/3.", (1, 2, 3)),
        ("Fixes #1, #2", (1,)),
        ("Closes GH-4", (4,)),
        ("- closes #5\n- closes #5\n- closes #4", (5, 4)),
        ("Closes ACME/Shop#6", (6,)),
        ("Closes <!-- number of the issue --> #7", (7,)),
        ("<!-- Which issue? --> Closes #8", (8,)),
        ("<p>Closes #9</p>", (9,)),
        ("This **fixes #10**.", (10,)),
        ("closes\n#11", (11,)),
    ],
)
def test_what_closes(text: str, numbers: tuple[int, ...]) -> None:
    assert closing_references(text, REPOSITORY) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "see #12",
        "closes acme/other#12",
        "closes https://github.com/acme/other/issues/12",
        "closes https://evil.example/acme/shop/issues/12",
        "`closes #12`",
        "closes `#12`",
        "```\ncloses #12\n```",
        "> closes #12",
        "<!-- closes #12 -->",
        "~~closes #12~~",
        "closes ![#12](x)",
        "encloses #12",
        "prefix-fixes #12",
        "fixes #12abc",
        "fixes #0",
        "fixes #99999999999",
        "fixes\n\n#12",
        "",
    ],
)
def test_what_does_not_close(text: str) -> None:
    assert closing_references(text, REPOSITORY) == ()


def test_an_enterprise_server_has_its_own_addresses() -> None:
    text = "closes https://git.acme.example/acme/shop/issues/3 and closes https://github.com/acme/shop/issues/4"
    assert closing_references(text, REPOSITORY, server="https://git.acme.example/") == (3,)


@given(st.integers(1, 999_999_999), st.integers(1, 999_999))
def test_a_branch_name_is_read_back(number: int, attempt: int) -> None:
    assert parse_branch(branch_name(number, attempt)) == (number, attempt)
    assert parse_branch(f"refs/heads/{branch_name(number, attempt)}") == (number, attempt)


@pytest.mark.parametrize(
    "name",
    [
        "main",
        "task/12",
        "task/0-1",
        "task/12-0",
        "task/012-1",
        "task/12-1\n",
        "xtask/1-1",
        "task/1-1/x",
        "task/\u0661-1",
    ],
)
def test_other_branches_belong_to_no_task(name: str) -> None:
    assert parse_branch(name) is None


@pytest.mark.parametrize(("number", "attempt"), [(0, 1), (1, 0), (-1, 1)])
def test_there_is_no_branch_before_the_first_attempt(number: int, attempt: int) -> None:
    with pytest.raises(ValueError, match="from 1 on"):
        branch_name(number, attempt)


@given(st.text(), st.text())
def test_any_text_is_read(text: str, repository: str) -> None:
    assert all(number > 0 for number in closing_references(text, repository))
    parse_branch(text)
