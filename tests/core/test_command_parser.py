"""Slash commands in comments: what is one, what only looks like one, what an edit adds."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.commands.parser import MAX_ARGUMENT_LENGTH, MAX_COMMANDS, new_commands, parse_commands
from tests.suite import examples

KNOWN = ("assign", "help", "priority", "ready", "retry", "status")


def names(body: str) -> list[str]:
    return [command.name for command in parse_commands(body, KNOWN)]


def test_several_commands_with_arguments_among_ordinary_text() -> None:
    body = (
        "Looks good to me.\n/ready\n/priority   P0  \n\nThanks!\n\n  /Assign @codex `now` <!-- hidden -->\r\n/status."
    )
    commands = parse_commands(body, KNOWN)
    assert [(c.name, c.argument, c.line, c.is_known, c.suggestion) for c in commands] == [
        ("ready", "", 2, True, None),
        ("priority", "P0", 3, True, None),
        ("assign", "@codex `now`", 7, True, None),
        ("status", "", 8, True, None),
    ]
    assert len({command.key for command in commands}) == 4


@pytest.mark.parametrize(
    "body",
    [
        "> /ready",
        "> quoted\n/ready",  # Markdown reads on inside the quote
        "`/ready`",
        "```\n/ready\n```",
        "    /ready",
        "a `code\n/ready\nspan` b",
        "- /ready",
        "1. x\n   /ready",
        "[x\n/ready](y)",
        '[x](y "\n/ready\n")',
        "<div>\n/ready\n</div>",
        "<details>\n\n/ready\n\n</details>",
        "<!--\n/ready\n-->",
        "a <b\nc='\n/ready\n'> d",
        "# /ready",
        "/ready\n===",
        "| a |\n|---|\n| /ready |",
        "**bold\n/ready**",
        "\\/ready",
        "&#47;ready",
        "please /ready",
        "See /ready in the middle of a line",
        "Use `/ready` for that.",
        "**/ready**",
        "https://x/ready",
        "",
    ],
)
def test_talk_about_commands_is_no_command(body: str) -> None:
    assert names(body) == []


@pytest.mark.parametrize(
    "body",
    [
        "/usr/bin",
        "/etc/hosts is where it is",
        "/foo/bar baz",
        "/tmp is full",
        "/index.html",
        "/",
        "//",
        "/ ready",
        "/1",
        "/42abc",
        "/a.b",
    ],
)
def test_paths_are_no_commands(body: str) -> None:
    assert names(body) == []


def test_after_a_closed_element_commands_count_again() -> None:
    assert names("<details>\n\n/ready\n\n</details>\n\n/retry") == ["retry"]
    assert names("<br>\n\n</details>\n\n/retry") == ["retry"]


def test_an_unknown_word_comes_back_with_the_nearest_command() -> None:
    wrong, strange = parse_commands("/redy now\n/xyzzy", KNOWN)
    assert (wrong.name, wrong.argument, wrong.is_known, wrong.suggestion) == ("redy", "now", False, "ready")
    assert (strange.name, strange.is_known, strange.suggestion) == ("xyzzy", False, None)


def test_an_argument_that_looks_like_markdown_is_kept() -> None:
    (command,) = parse_commands("/status [wip]: nearly done", KNOWN)
    assert command.argument == "[wip]: nearly done"


def test_a_word_of_a_root_folder_can_still_be_a_command() -> None:
    assert [c.name for c in parse_commands("/run", ["run"])] == ["run"]


def test_an_edit_runs_only_what_it_adds() -> None:
    before = "/ready\n/priority P1"
    after = "One more thing:\n\n/priority P0\n/ready\n/ready"
    assert [(c.name, c.argument) for c in new_commands(before, after, KNOWN)] == [("priority", "P0"), ("ready", "")]
    assert new_commands(after, after, KNOWN) == ()
    assert new_commands(after, before, KNOWN)[0].argument == "P1"
    assert [c.name for c in new_commands(None, "/ready", KNOWN)] == ["ready"]


def test_a_command_that_was_quoted_before_is_new_when_it_is_said() -> None:
    assert [c.name for c in new_commands("> /ready", "/ready", KNOWN)] == ["ready"]


def test_there_is_a_limit_to_everything() -> None:
    commands = parse_commands("\n".join(f"/status {'x' * 5000}" for _ in range(100)), KNOWN)
    assert len(commands) <= MAX_COMMANDS
    assert len(parse_commands("/help\n" * 100, KNOWN)) == MAX_COMMANDS
    assert all(len(c.argument) <= MAX_ARGUMENT_LENGTH for c in commands)


BODIES = st.lists(
    st.one_of(
        st.sampled_from(
            ["/ready", "/redy x", "\n", "\n\n", "> ", "`", "```\n", "<div>\n", "</div>\n", "[", "](", ")", "- ", "*"]
        ),
        st.text(max_size=5),
    ),
    max_size=30,
).map("".join)


@examples(300)
@given(BODIES, BODIES)
@example("\ue0000\ue000/ready\n/ready", "\ue000")
def test_any_comment_is_read(before: str, after: str) -> None:
    commands = parse_commands(after, KNOWN)
    assert len({command.key for command in commands}) == len(commands)
    assert all(c.is_known == (c.name in KNOWN) for c in commands)
    assert new_commands(after, after, KNOWN) == ()
    added = new_commands(before, after, KNOWN)
    assert len(added) >= len(commands) - len(parse_commands(before, KNOWN))
