"""The corpus of hostile inputs inside what the bot writes: input never changes the kind of a page."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from core import texts
from core.conflicts.pulls import FileConflict, Span, TrialMerge
from core.dead_letter import DeadLetter
from core.handoff.feedback import LineComment
from core.review.definition_of_done import done_blockers
from core.task.model import ChecksState, Flag
from core.text_safety.sanitize import one_line
from core.texts.checks import conflict_check
from core.texts.digest import digest_text
from tests.builders import BASE_SHA, BOB, NOW, Story, failed_check
from tests.core.test_digest_text import made
from tests.corpus import entry_names, hostile_input

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def pages(said: str) -> dict[str, str]:
    """What the bot writes if this text stands in every place in which its pages show input."""
    line = one_line(said)
    story = Story().file_ready_task(title=said).reach_review()
    story.report_checks(
        ChecksState.FAILURE, None, failed_check(line, step=line, first_error=line, failing_tests=(line,), log_tail=said)
    )
    feedback = story.comment_text()
    called = Story().file_ready_task()
    called.run_command(f"/escalate {line or 'x'}", author=BOB)
    held = Story().file_ready_task(title=said)
    held.run_command(f"/block {line or 'x'}")
    review = Story().file_ready_task().reach_review()
    comments = (LineComment(line or "x", 3, "Where is its test?"),)
    review.review_pull("changes_requested", text="Almost.", comments=comments)
    given_up = DeadLetter("17", "UpsertCard card:1", 1, 4, line, NOW)
    task = replace(held.task, title=line, open_dependencies=("#9",))
    behind = replace(task, number=2, open_dependencies=("#1",), flags={Flag.NEEDS_HUMAN: "All attempts are used up."})
    files = (FileConflict(line or "x", own_lines=(Span(1, 2),)),)
    checked = Story().file_ready_task().reach_review().pull
    return {
        "card": texts.card_text(story.task, story.policy),
        "card of a blocked one": texts.card_text(held.task, held.policy),
        "status": texts.status_text(held.task, held.policy, dead_letters=[given_up]),
        "feedback": feedback,
        "call": called.comment_text(),
        "review": review.comment_text(),
        "done": texts.done_check(story.task, done_blockers(story.task))[2],
        "conflict": conflict_check(
            replace(checked, branch=line or "x", trial_merge=TrialMerge(BASE_SHA, False, files))
        ).summary,
        "digest": digest_text(made(task, behind, dead_letters=[given_up])),
    }


def skeleton(page: str) -> list[str]:
    """The page as it is rendered, without its words: tags, comments, and whom it mentions or links to."""
    html = MARKDOWN.render(page)
    outside = re.sub(r"<(pre|code)[^>]*>.*?</\1>", "", html, flags=re.DOTALL)
    return re.findall(
        r"</?[a-z][a-z0-9]*\b|<!--|(?<![\w.])@[a-z][\w/-]*|(?<![\w&])#\d+|href=\"[^\"]*\"", outside, re.IGNORECASE
    )


@pytest.mark.parametrize("name", entry_names("pages"))
def test_hostile_input_never_changes_the_kind_of_a_page(name: str) -> None:
    calm, changed = pages("word"), pages(hostile_input(name))
    assert calm.keys() == changed.keys()
    for page, text in changed.items():
        assert skeleton(text) == skeleton(calm[page]), page
        assert len(text) <= 65_536


def test_a_page_that_is_broken_out_of_is_seen() -> None:
    whole = "| a |\n|---|\n| %s |\n"
    for word in ("<img src=x>", "@all", "x |\n\n# y", "<!-- x -->", "#12"):
        assert skeleton(whole % word) != skeleton(whole % "word"), word
