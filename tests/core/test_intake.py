"""The body of an issue becomes a task: by the form, by hand, and by people who mean no good."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from core.intake.parser import (
    MAX_CAPABILITIES,
    MAX_CRITERIA,
    MAX_CRITERION_LENGTH,
    MAX_DEPENDENCIES,
    MAX_ESTIMATE,
    MAX_FILES,
    MAX_GOAL,
    MAX_PROBLEMS,
    AcceptanceCriterion,
    DependencyReference,
    ParsedIssue,
    fingerprint,
    parse_issue,
)
from core.text_safety.markdown import ListItem, prose, sections
from tests.suite import examples

TEMPLATES = Path(__file__).parents[2] / ".github" / "ISSUE_TEMPLATE"
FORM: dict[str, Any] = yaml.safe_load((TEMPLATES / "task.yml").read_text(encoding="utf-8"))
QUESTIONS = [element for element in FORM["body"] if element["type"] != "markdown"]


def submitted(**answers: str) -> str:
    """The body that GitHub makes of our form: each label as a heading, an empty answer in its own words."""
    assert answers.keys() <= {question["id"].replace("-", "_") for question in QUESTIONS}
    parts = []
    for question in QUESTIONS:
        attributes = question["attributes"]
        chosen = attributes.get("value", "")
        if question["type"] == "dropdown" and "default" in attributes:
            chosen = attributes["options"][attributes["default"]]
        answer = answers.get(question["id"].replace("-", "_"), chosen).strip() or "_No response_"
        parts.append(f"### {attributes['label']}\n\n{answer}")
    return "\n\n".join(parts)


# The form and its parser


def test_every_answer_of_the_form_arrives_in_its_field() -> None:
    body = submitted(
        goal="Expired vouchers are refused at the checkout.\n\n#### Why\n\nPeople complain.",
        acceptance_criteria="- [ ] A message names the date\n- [x] The total stays",
        definition_of_done="- [ ] Tests cover it",
        priority="P1",
        required_capabilities="python, tests",
        preferred_capabilities="backend, python",
        dependencies="#12, acme/shop#3\nhttps://github.com/acme/web/issues/4",
        files="shop/checkout.py\ntests/checkout/**",
        estimate="2 h",
    )
    assert parse_issue(body) == ParsedIssue(
        goal="Expired vouchers are refused at the checkout.\n\n#### Why\n\nPeople complain.",
        criteria=(AcceptanceCriterion("A message names the date"), AcceptanceCriterion("The total stays", ticked=True)),
        definition_of_done=(AcceptanceCriterion("Tests cover it"),),
        priority="P1",
        required=("python", "tests"),
        preferred=("backend",),
        dependencies=(
            DependencyReference(None, 12),
            DependencyReference("acme/shop", 3),
            DependencyReference("acme/web", 4),
        ),
        files=("shop/checkout.py", "tests/checkout/**"),
        estimate="2 h",
    )


def test_the_form_sent_as_it_stands_is_an_empty_task_without_complaints() -> None:
    assert parse_issue(submitted()) == ParsedIssue(priority="P2")


def test_the_examples_in_the_form_are_understood() -> None:
    examples = {
        question["id"].replace("-", "_"): question["attributes"]["placeholder"]
        for question in QUESTIONS
        if "placeholder" in question["attributes"]
    }
    intake = parse_issue(submitted(**examples))
    assert intake.problems == ()
    assert intake.required
    assert intake.preferred
    assert len(intake.dependencies) == 2
    assert len(intake.files) == 2
    assert len(intake.definition_of_done) == 2
    assert intake.estimate


def test_the_form_keeps_the_rules_of_issue_forms() -> None:
    assert FORM["labels"] == ["task"]
    ids = [question["id"] for question in QUESTIONS]
    assert ids == [
        "goal",
        "acceptance-criteria",
        "definition-of-done",
        "priority",
        "required-capabilities",
        "preferred-capabilities",
        "dependencies",
        "files",
        "estimate",
    ]
    assert all({"label", "description"} <= question["attributes"].keys() for question in QUESTIONS)
    priority = next(question for question in QUESTIONS if question["id"] == "priority")
    assert priority["attributes"]["options"] == ["P0", "P1", "P2"]
    assert priority["attributes"]["options"][priority["attributes"]["default"]] == "P2"
    assert yaml.safe_load((TEMPLATES / "config.yml").read_text(encoding="utf-8")) == {"blank_issues_enabled": True}


# Written by hand


def test_headings_of_any_level_and_wording_are_known() -> None:
    body = """Customers are confused.

# 1. OBJECTIVE:
Tell them. <!-- and obey me -->

## Acceptance Criteria
### Shop
* [X] told
  - in their language
### Mail
1. [ ] mailed

Done when
---------
- merged

## Depends On
- #3 the other thing

## Affected files
- `src/a b.py`: where it begins
- ./x//y.py
- the login page

## Screenshots
none yet
"""
    intake = parse_issue(body)
    assert intake.goal == "Tell them."
    assert intake.criteria == (AcceptanceCriterion("told", ticked=True), AcceptanceCriterion("mailed"))
    assert intake.definition_of_done == (AcceptanceCriterion("merged"),)
    assert intake.dependencies == (DependencyReference(None, 3),)
    assert intake.files == ("src/a b.py", "x/y.py")
    assert intake.notes == ("Customers are confused.\n\n## Screenshots\n\nnone yet\n\nAreas affected: the login page")
    assert intake.problems == ()
    assert intake.priority is None


def test_a_text_before_the_first_heading_is_the_goal_if_no_heading_says_so() -> None:
    assert parse_issue("Make it blue.\n\n## Acceptance criteria\n- it is blue\n  - light\n- all of it").criteria == (
        AcceptanceCriterion("it is blue"),
        AcceptanceCriterion("all of it"),
    )
    assert parse_issue("Make it blue.\n\n## Goal\n\n_No response_").goal == "Make it blue."


@pytest.mark.parametrize(
    ("text", "dependencies"),
    [
        ("Depends on #12", [(None, 12)]),
        ("depends on: #3, #4 and acme/shop#5; GH-6", [(None, 3), (None, 4), ("acme/shop", 5), (None, 6)]),
        ("This is blocked by acme/shop#3.", [("acme/shop", 3)]),
        ("Blocked by https://github.com/acme/shop/issues/7", [("acme/shop", 7)]),
        ("Depends on:\n- #1\n- #2 with words\n- no number\n- #9", [(None, 1), (None, 2)]),
        ("- depends on #1\n- depends on #1", [(None, 1)]),
        ("Depends on #1\n\n#2 is not meant", [(None, 1)]),
        ("It does not depend on #1, it doesn't depend on #2, it is no longer blocked by #3", []),
        (
            "`Depends on #1`\n\n> Depends on #2\n\n```\nDepends on #3\n```\n\n~~Depends on #4~~ <!-- depends on #5 -->",
            [],
        ),
        ("Depends on the weather and #0 and #x", []),
    ],
)
def test_dependencies_are_found_wherever_they_are_said(text: str, dependencies: list[tuple[str | None, int]]) -> None:
    intake = parse_issue(f"## Goal\n\nDo it.\n\n## More\n\n{text}")
    assert [(d.owner_repo, d.number) for d in intake.dependencies] == dependencies
    assert intake.problems == ()


@pytest.mark.parametrize("nothing", ["None", "n/a", "-", "none at the moment", "_No response_", "No dependencies"])
def test_nothing_can_be_said_in_many_ways(nothing: str) -> None:
    assert parse_issue(f"### Dependencies\n\n{nothing}\n\n### Required capabilities\n\nNone") == ParsedIssue()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("### Priority\n\nP7", "The priority “P7” is unknown: choose P0, P1 or P2."),
        ("### Priority\n\nvery high", "“very high”"),
        ("### Dependencies\n\nthe other one", "Write the numbers, such as `#12, acme/shop#3`."),
        ("### Required capabilities\n\nmachine learning", "Write single words such as `python` or `machine-learning`"),
        ("### Preferred capabilities\n\n-x", "Preferred capabilities: “-x”"),
        (f"### Required capabilities\n\n{'x' * 51}", "is not a capability"),
        ("### Required capabilities\n\n@alice", "“@\u200balice”"),
        ("### Files\n\n/etc/passwd", "is not relative"),
        ("### Files\n\n~/x", "is not relative"),
        ("### Files\n\nC:/x", "is not relative"),
        ("### Files\n\n--output=x", "is not relative"),
        ("### Files\n\na/../../b", "leads out of the repository"),
        ("### Files\n\nsrc/.git/hooks", "git's own files"),
        ("### Files\n\nhttps://x/y", "is a web address"),
        ("### Files\n\nsrc\\a.py", "separate folders with `/`"),
        (f"### Files\n\n{'a/' * 200}", "too long for a path"),
        ("### Files\n\n" + "\n".join(f"f{n}.py" for n in range(MAX_FILES + 1)), "use patterns such as `src/shop/**`"),
        ("### Goal\n\n" + "word " * 5000, "Goal is longer than 20000 characters"),
        ("### Else\n\n" + "word " * 5000, "The rest of the text is longer"),
        ("### Acceptance criteria\n\n" + "- [ ] x\n" * (MAX_CRITERIA + 1), "split the task"),
        ("### Acceptance criteria\n\n- [ ] " + "x" * (MAX_CRITERION_LENGTH + 1), "has an item longer than"),
        ("### Dependencies\n\n" + " ".join(f"#{n}" for n in range(1, MAX_DEPENDENCIES + 2)), "dependencies are named"),
        (
            "### Required capabilities\n\n" + ",".join(f"c{n}" for n in range(MAX_CAPABILITIES + 1)),
            f"names {MAX_CAPABILITIES + 1}, more than {MAX_CAPABILITIES}",
        ),
    ],
)
def test_what_cannot_be_parsed_is_reported_with_its_fix(body: str, problem: str) -> None:
    (said,) = parse_issue(body).problems
    assert problem in said


def test_names_and_paths_are_tidied() -> None:
    intake = parse_issue(
        "### Required capabilities\n\n- Python\n- `C++`\n1. python\n\n### Files\n\n```\nb.py\n```\na.py, b.py; *.md"
    )
    assert intake.required == ("c++", "python")
    assert intake.files == ("b.py", "a.py", "*.md")
    assert intake.problems == ()


def test_hidden_text_reaches_no_field() -> None:
    hidden = "<!-- obey --><span hidden>obey</span>"
    body = submitted(
        goal=f"a{hidden}b", acceptance_criteria=f"- [ ] c{hidden}\u202e", estimate=f"1{hidden} h", files=f"x{hidden}.py"
    )
    intake = parse_issue(body)
    assert "obey" not in repr(intake)
    assert intake.files == ("x.py",)
    assert intake.criteria == (AcceptanceCriterion("c"),)


# Fingerprints


def test_a_fingerprint_folds_what_does_not_matter() -> None:
    one = fingerprint("Add a cart!", ParsedIssue(goal="Customers  can\nbuy: things.", estimate="1 h"))
    assert one == fingerprint("add A CART", ParsedIssue(goal="customers can buy things"))
    assert one != fingerprint("Add a card", ParsedIssue(goal="customers can buy things"))
    assert one != fingerprint("Add a cart", ParsedIssue(goal="customers can sell things"))
    assert fingerprint("a b", ParsedIssue(goal="c")) != fingerprint("a", ParsedIssue(goal="b c"))
    assert len(one) == 64
    assert set(one) <= set("0123456789abcdef")
    assert fingerprint("\u65e5\u672c", ParsedIssue()) != fingerprint("\u65e5\u5149", ParsedIssue())


# Reading Markdown


def test_sections_items_and_prose() -> None:
    text = (
        "lead\n\n## A *b*\n\n- [x] one\n  two\n- [ ]\n- plain\n> - [ ] quoted\n\nC\n===\n\ntext `code` ![pic](x) *em*"
    )
    lead, first, second = sections(text)
    assert (lead.heading, lead.level, lead.source) == ("", 0, "lead")
    assert (first.heading, first.level) == ("A *b*", 2)
    assert first.items == (ListItem("one two", ticked=True), ListItem("plain", ticked=None))
    assert (second.heading, second.level, second.source) == ("C", 1, "text `code` ![pic](x) *em*")
    assert prose(text) == "lead\n\nA b\n[x] one\ntwo\n[ ]\nplain\n\nC\n\ntext ` ` em"
    assert prose("a  \nb\n\n```\nx\n```\n\n> q") == "a\nb\n\n`"


# Whatever may come

PIECES = st.lists(
    st.one_of(
        st.sampled_from([f"\n### {question['attributes']['label']}\n\n" for question in QUESTIONS]),
        st.sampled_from(
            [
                "- [ ] ",
                "- [x] ",
                "- ",
                "\n",
                "\n\n",
                "#12",
                "a/b#3",
                "Depends on ",
                ", ",
                "P1",
                "_No response_",
                "```",
                "> ",
            ]
        ),
        st.sampled_from(
            ["<!--", "-->", "<div hidden>", "</div>", "../", "*", "`", "\x00", "\ud800", "\u202e", "## ", "[", "]:"]
        ),
        st.text(max_size=8),
    ),
    max_size=40,
).map("".join)


@examples(400)
@given(st.none() | PIECES)
@example("### Goal\n### Goal")
def test_any_body_becomes_a_bounded_intake(body: str | None) -> None:
    intake = parse_issue(body)
    assert len(intake.goal) <= MAX_GOAL
    assert len(intake.criteria) <= MAX_CRITERIA
    assert len(intake.problems) <= MAX_PROBLEMS
    assert len(intake.estimate or "") <= MAX_ESTIMATE
    assert intake.priority in {None, "P0", "P1", "P2"}
    assert list(intake.required) == sorted(set(intake.required))
    assert not set(intake.required) & set(intake.preferred)
    assert not [path for path in intake.files if path.startswith("/") or ".." in path.split("/") or "\n" in path]
    assert all(dependency.number > 0 for dependency in intake.dependencies)
    repr(intake).encode()


CLEAN_WORDS = st.text("abcdefg ", min_size=1, max_size=30).map(str.strip).filter(bool)


@given(CLEAN_WORDS, st.lists(st.tuples(CLEAN_WORDS, st.booleans()), max_size=5))
def test_what_is_written_in_the_form_is_read_back(goal: str, criteria: list[tuple[str, bool]]) -> None:
    checklist = "\n".join(f"- [{'x' if ticked else ' '}] {text}" for text, ticked in criteria)
    intake = parse_issue(submitted(goal=goal, acceptance_criteria=checklist))
    assert intake.goal == goal
    assert intake.criteria == tuple(AcceptanceCriterion(" ".join(text.split()), ticked) for text, ticked in criteria)
