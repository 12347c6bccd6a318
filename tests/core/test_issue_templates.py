"""A template as the text of an issue, and what of it fills in a text that leaves something out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from config.task_templates import TaskTemplate, built_in_templates
from core.intake.parser import parse_issue
from core.intake.templates import (
    HEADINGS,
    TemplateError,
    fill_template,
    matching_templates,
    render_template,
    template_sections,
)
from core.task.model import Kind, Status
from core.text_safety.sanitize import BODY_LIMIT
from tests.builders import Story
from tests.suite import examples

FORM = yaml.safe_load((Path(__file__).parents[2] / ".github/ISSUE_TEMPLATE/task.yml").read_text(encoding="utf-8"))
BUG = built_in_templates()["bug"]


def hostile(**changes: object) -> TaskTemplate:
    """A repository's template with an attack."""
    return TaskTemplate.model_validate({**BUG.model_dump(), **changes})


@pytest.mark.parametrize("name", built_in_templates())
def test_each_template_is_ready_as_it_is_and_of_its_own_class(name: str) -> None:
    template = built_in_templates()[name]
    story = Story().file_ready_task(title=template.title, text=render_template(template))
    intake = story.task.intake
    assert story.task.kind is Kind(template.kind), story.task.kind_reason
    assert story.task.priority == (template.priority or "P2")
    assert tuple(criterion.text for criterion in intake.criteria) == template.criteria
    assert tuple(criterion.text for criterion in intake.definition_of_done) == template.done
    assert (intake.files, intake.estimate) == (template.files, template.estimate)
    for line in (
        *template.components,
        *template.integration,
        *(vars(template.phases).values() if template.phases else ()),
    ):
        assert line in intake.notes
    story.assign()
    assert template.integration[0] in story.packet()["notes"]


def test_the_headings_are_those_of_the_form() -> None:
    labels = {part["attributes"]["label"] for part in FORM["body"] if part["type"] != "markdown"}
    assert labels - set(HEADINGS.values()) == {"Dependencies"}
    assert set(HEADINGS.values()) - labels == {"Integration points", "Red, green, refactor"}


def test_a_plain_issue_keeps_its_words_as_the_goal() -> None:
    filled = fill_template("The total is **wrong** for an empty cart.", BUG)
    assert filled.body.startswith(
        "The total is **wrong** for an empty cart.\n\n### Acceptance criteria\n\n- [ ] A test"
    )
    assert filled.headings == (
        *("Acceptance criteria", "Files or areas affected", "Integration points"),
        *("Definition of done", "Priority", "Estimate"),
    )
    intake = parse_issue(filled.body)
    assert intake.goal == "The total is **wrong** for an empty cart."
    assert len(intake.criteria) == len(BUG.criteria)


def test_an_empty_issue_gets_the_whole_template() -> None:
    for nothing in ("", "  \n\r\n"):
        assert parse_issue(fill_template(nothing, BUG).body) == parse_issue(render_template(BUG))


def test_what_the_form_left_empty_is_filled_in_its_place() -> None:
    form = "### Goal\r\n\r\nMine\r\n\r\n### Acceptance criteria\r\n\r\n- [ ] \r\n\r\n### Estimate\r\n\r\n_No response_"
    filled = fill_template(form, BUG, skipped_fields={"priority", "files", "integration", "done"})
    assert filled.headings == ("Acceptance criteria", "Estimate")
    assert filled.body.startswith("### Goal\r\n\r\nMine\r\n\r\n### Acceptance criteria\n\n- [ ] A test shows the bug")
    assert filled.body.endswith("\n\n### Estimate\n\n4 h\n")
    assert "_No response_" not in filled.body


def test_what_is_said_already_stays_and_filling_twice_adds_nothing() -> None:
    mine = "## Goal\n\nMine\n\n## Criteria\n\n- [x] mine too\n\n## Size\n\nhuge\n\n## Urgency\n\nP0\n"
    filled = fill_template(mine, BUG)
    assert filled.headings == ("Files or areas affected", "Integration points", "Definition of done")
    assert "\n## Integration points\n" in filled.body, "a deeper heading would belong to the author's last one"
    intake = parse_issue(filled.body)
    assert ([c.text for c in intake.criteria], intake.estimate, intake.priority) == (["mine too"], "huge", "P0")
    assert fill_template(filled.body, BUG).headings == ()
    assert fill_template(filled.body, BUG).body == filled.body


def test_words_that_say_nothing_stay_and_the_template_speaks_below() -> None:
    filled = fill_template("### Goal\n\nTBD\n\n### Estimate\n\nnone\n", BUG)
    assert filled.body.startswith("### Goal\n\nTBD\n\n### Estimate\n\nnone\n\n### Goal\n\n")
    assert parse_issue(filled.body).goal == BUG.goal


def test_criteria_that_are_no_list_are_not_talked_over() -> None:
    """The author has to fix them: the card says so, and what they say must not be lost beside other criteria."""
    filled = fill_template("### Goal\n\nMine\n\n### Acceptance criteria\n\nIt simply works.\n", BUG)
    assert "Acceptance criteria" not in filled.headings
    assert parse_issue(filled.body).criteria == ()


@pytest.mark.parametrize(
    "open_end",
    [
        "```\nTraceback",
        "~~~~\nlog",
        "<!-- what it is",
        "<pre>\nlog",
        "<script>\nboo",
        "text\n\n<details hidden>\n\n<!--",
    ],
)
def test_a_text_that_would_swallow_what_stands_below_it_is_refused(open_end: str) -> None:
    with pytest.raises(TemplateError, match="never closed"):
        fill_template(f"It crashes:\n\n{open_end}\n", BUG)


def test_a_text_without_room_is_refused() -> None:
    with pytest.raises(TemplateError, match="longer than the 65536 characters"):
        fill_template("### Goal\n\nx\n\n### Log\n\n" + ("a" * 99 + "\n") * ((BODY_LIMIT - 200) // 100), BUG)
    with pytest.raises(TemplateError, match="very long"):
        fill_template("### Goal\n\nx\n\n### Log\n\n" + ("a" * 99 + "\n") * 199, BUG)


def test_a_repository_s_template_mentions_no_user_and_no_issue() -> None:
    template = hostile(
        goal="Ask @everyone, see #12 and acme/shop#3.",
        criteria=("it fixes #7 <img src=x>", "@alice agrees"),
        integration=("GH-4 and &#64;bob",),
    )
    made = fill_template("", template).body
    for active in ("@everyone", "#12", "#3", "#7", "<img", "@alice", "GH-4", "&#64;"):
        assert active not in made
    assert "@\u200beveryone" in made
    assert [c.text for c in parse_issue(made).criteria] == ["it fixes #7 <img src=x>", "@alice agrees"]


@pytest.mark.parametrize(
    ("title", "first"),
    [
        ("The cart crashes when it is empty", "bug"),
        ("Fix the broken checkout", "bug"),
        ("Customers pay by invoice", "payment"),
        ("Upgrade Django", "dependency-upgrade"),
        ("New endpoint for vouchers", "api-endpoint"),
        ("Translations for Danish", "content"),
    ],
)
def test_what_fits_a_title(title: str, first: str) -> None:
    assert first in matching_templates(title, built_in_templates())


def test_nothing_fits_a_title_that_says_nothing() -> None:
    assert matching_templates("Hm", built_in_templates()) == ()
    assert matching_templates("therapist", {"api": built_in_templates()["api-endpoint"]}) == ()


LINES = st.one_of(
    st.sampled_from(
        [
            *(f"### {heading}" for heading in HEADINGS.values()),
            *("# Goal", "## Notes", "#### Dependencies", "Criteria\n---", "> ## Goal", "- a\n  ### Estimate"),
            *("_No response_", "- [ ] ", "- [ ]", "- [x] it works", "TBD", "none", "", "P0", "- `a/b.py`", "python"),
            *("```", "~~~", "<!--", "-->", "<pre>", "</pre>", "<details>", "</details>", "Depends on #3", "* * *"),
            *(
                "[a]: /b",
                "| a | b |\n|---|---|",
                "    code",
                "\t",
                "- item\n\n  more",
                "text\\",
                "@alice",
                "x\r\ny",
                "x\ry",
            ),
        ]
    ),
    st.text(max_size=30),
)


@examples(100)
@given(st.lists(LINES, max_size=12).map("\n".join), st.sampled_from(sorted(built_in_templates())))
@example("### Goal", "bug")
@example("### Goal\n\n_No response_\n### Estimate\n\n- [ ]", "feature")
@example("# Goal\nx\n# Notes\n- [ ] mine", "feature")
def test_no_line_of_the_author_is_lost(body: str, name: str) -> None:
    template = built_in_templates()[name]
    try:
        filled = fill_template(body, template)
    except TemplateError:
        return
    rest = iter(re.split(r"\r\n?|\n", filled.body))
    for line in re.split(r"\r\n?|\n", body):
        unsaid = line.strip() in {"", "_No response_", "- [ ]"}
        assert unsaid or line in rest, f"{line!r} is gone"
    was, now = parse_issue(body), parse_issue(filled.body)
    assert not filled.headings or now.goal
    for field in ("goal", "criteria", "files", "estimate", "priority", "definition_of_done", "required"):
        if getattr(was, field):
            assert getattr(now, field) == getattr(was, field)
    assert set(now.dependencies) >= set(was.dependencies)


def test_a_filled_issue_is_handed_out() -> None:
    """What the author said is the goal; the template adds what makes it ready."""
    filled = fill_template("The total is wrong.", BUG)
    story = Story().file_ready_task(title="Wrong total", text=filled.body).assign()
    assert story.task.status is Status.IN_PROGRESS
    assert story.packet()["goal"] == "The total is wrong."
    assert set(template_sections(BUG)) == {"goal", "criteria", "files", "integration", "done", "priority", "estimate"}
