"""The YAML reader: plain data with places, and nothing that a hostile file could do with it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.problems import ConfigError, Problem
from config.repository import parse_repository_config
from config.yaml_reader import MAX_ALIASES, MAX_BYTES, MAX_DEPTH, MAX_NODES, SourcePosition, read_yaml

# The same texts on every run, however slow the machine.
repeatable = settings(derandomize=True)

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_yaml(text, "x.yml")
    return str(caught.value)


def test_every_key_and_value_has_its_place() -> None:
    document = read_yaml("a:\n  - b: 1\n    c: [x, y]\n", "x.yml")
    assert document.data == {"a": [{"b": 1, "c": ["x", "y"]}]}
    assert document.key_position(("a", 0, "c")) == SourcePosition(3, 5)
    assert document.value_position(("a", 0, "c", 1)) == SourcePosition(3, 12)
    assert document.value_position(("a", 0, "missing", "deeper")) == SourcePosition(1, 1), "the nearest key around it"
    assert document.key_position(()) == SourcePosition(1, 1)


def test_scalars_are_those_of_yaml_1_2() -> None:
    text = "[true, no, 22:00, 2026-01-01, 0x10, 010, 1.5, ~, null, 1e3, '1', 99999999999999999999, <<]"
    values = ["no", "22:00", "2026-01-01", "0x10", 10, 1.5, None, None, 1000.0, "1", 1e20, "<<"]
    assert read_yaml(text, "x.yml").data == [True, *values]


def test_a_few_aliases_are_welcome() -> None:
    text = "a: &py [python]\nb: *py\n"
    assert read_yaml(text, "x.yml").data == {"a": ["python"], "b": ["python"]}


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1", "already in line 1"),
        ("a:\n  x: 1\n  x: 2\n", "3:3", "already in line 2"),
        ("? [a]\n: 1\n", "1:3", "a key must be plain text"),
        ("a: !!python/object/apply:os.system [id]\n", "1:4", "is not accepted here"),
        ("a: !!binary aGk=\n", "1:4", "is not accepted here"),
        ("a: !!int many\n", "1:4", "`many` is not a number"),
        ("a: !!set {x}\n", "1:4", "is not accepted here"),
        ("a:\n\t- b\n", "2:1", "not valid YAML"),
        ("a: [1\n", "2:1", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "2:1", "but found another document"),
        ("a: 1\nb: \x07\n", "2:1", "U+0007"),
        ("a: \ud800", "1:1", "U+D800"),
        ('a: "\\uD800"', "1:4", "an escape that is not a character"),
        ('a: 1\nb: "\\UFFFFFFFF"', "2:1", "an escape that is not a character"),
        ("a: *nothing\n", "1:4", "undefined alias"),
        ("a: &a [*a]\n", "1:4", f"nested deeper than {MAX_DEPTH}"),
        ("[" * 100_000, f"1:{MAX_DEPTH + 1}", f"nested deeper than {MAX_DEPTH}"),
        ("{a: " * 50_000, None, f"nested deeper than {MAX_DEPTH}"),
        (BOMB, "12:12", f"more than {MAX_ALIASES} aliases"),
        ("[" + "a," * (MAX_NODES + 1) + "]", None, f"more than {MAX_NODES} values"),
        (f"b: &b [{'x,' * 5000}]\nc: [*b, *b, *b]\n", None, f"more than {MAX_NODES} values"),
        ("#" * (MAX_BYTES + 1), "1:1", "larger than 256 KiB"),
        ("ä" * (MAX_BYTES // 2 + 1), "1:1", "larger than 256 KiB"),
        ("%YAML 3.0\n---\na: 1\n", "1:1", "incompatible"),
    ],
)
def test_a_text_that_is_not_taken(text: str, place: str | None, expected: str) -> None:
    said = complaint(text)
    assert said.startswith(f"x.yml:{place or ''}")
    assert expected in said


def test_every_duplicate_is_reported() -> None:
    assert complaint("a: 1\na: 2\nb: {c: 1, c: 2}\n").count("already in line") == 2


YAML_PIECES = st.sampled_from(
    (
        *(
            "version: 1\n",
            "agents:\n",
            "  a: ",
            "{adapter: pull}",
            "adapter: actions\n",
            "merge: ",
            "priorities: ",
        ),
        *(
            "timeouts: {ack: ",
            "2m",
            "9" * 30,
            ".inf",
            "~",
            "&x ",
            "*x",
            "!!int ",
            "!x ",
            "<<: ",
            "- ",
            "? ",
            ": ",
        ),
        *(
            "[",
            "]",
            "{",
            "}",
            "|\n",
            ">\n",
            '"',
            "'",
            "\\",
            "\\U",
            "\n",
            "  ",
            "\t",
            "#",
            "%",
            "---\n",
            "...\n",
        ),
        *("\ufeff", "\x85", "\u2028"),
    )
)


def answer(text: str) -> tuple[Problem, ...]:
    """The problems of a configuration, none if it is a good one; anything else that happens is a failure."""
    try:
        parse_repository_config(text)
    except ConfigError as error:
        str(error).encode()
        return error.problems
    return ()


@repeatable
@given(st.one_of(st.text(), st.lists(YAML_PIECES, max_size=30).map("".join)))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    assert all(problem.line >= 1 and problem.column >= 1 for problem in answer(text))


DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(st.characters(exclude_categories=["C"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcdef"), inner, max_size=4),
    max_leaves=20,
)


@repeatable
@given(DATA.filter(lambda data: data is not None))
def test_what_json_writes_is_read_as_it_was(data: object) -> None:
    assert read_yaml(json.dumps(data, ensure_ascii=False), "x.yml").data == data


SHAPES = st.dictionaries(
    st.sampled_from(["version", "agents", "priorities", "merge", "scoring", "timeouts", "progress", "escalation", "x"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("pull"),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["adapter", "roles", "a", "actions", "quiet", "to", "ack"]), inner, max_size=3
            )
        ),
        max_leaves=10,
    ),
)


@repeatable
@given(SHAPES)
def test_data_of_any_shape_gets_an_answer(data: object) -> None:
    answer(json.dumps(data))
