"""Classifies tasks as functional or non-functional, and derives the plan.

Functional is new or changed behaviour that a test can specify before the code exists. Everything else starts from
something found wrong or missing: bug reports, configuration, environment, speed, clean-up, documents. No model takes
part: the rules are lists of words that a repository can extend; the reason names the words found.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from core.intake.classifier_keywords import FUNCTIONAL, NON_FUNCTIONAL
from core.text_safety.sanitize import defuse, normalize_text, one_line

TaskClass = Literal["functional", "non-functional"]

TITLE_FACTOR = 3  # a title says what a task is; its body also says how it came up
MAX_BODY = 4_000  # characters; what a task is comes first
DEFAULT_WEIGHT = 1

_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t].*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ClassificationRules:
    """Words and phrases that count for a class.

    A phrase matches whole words in any case; `*` at its end stands for any ending (`document*`), at its beginning for
    any non-empty beginning (`*error`: not “error” itself). Its weight is 1, or the number after `^` (`crash*^3`). In a
    title it counts three times as much as in a body.
    """

    functional: tuple[str, ...]
    non_functional: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Classification:
    """The class of a task and one sentence that says why."""

    kind: TaskClass
    reason: str


DEFAULT_RULES = ClassificationRules(FUNCTIONAL, NON_FUNCTIONAL)

_PLANS: dict[TaskClass, tuple[str, ...]] = {
    "functional": (
        "Red: write tests that state the acceptance criteria, and see them fail for the right reason.",
        "Green: write the simplest code that makes them pass, without weakening a test.",
        "Refactor: clean up the code and the tests while all tests pass.",
    ),
    "non-functional": (
        "Symptom: show what is wrong or missing, with the command, the log or the page that shows it.",
        "Cause: find out why, and describe it in the pull request.",
        "Change: make the smallest change that removes the cause, not only the symptom.",
        "Proof: show with the same command, log or page that it is fixed; add a test where possible.",
    ),
}


def plan_steps(kind: TaskClass) -> tuple[str, ...]:
    """The checklist that an agent receives for a task of this class, in order."""
    return _PLANS[kind]


def classify(title: str, body_text: str, rules: ClassificationRules = DEFAULT_RULES) -> Classification:
    """The class of a task by its title and goal. The same input gives the same result.

    Pass the goal (`ParsedIssue.goal`) rather than the whole body, whose other sections mention tests and documents
    whatever the task is. Headings are ignored in any case: one of the form's own is `Dependencies`. A tie, and a text
    without any known word, counts as functional: a test written first does no harm.
    """
    title_text, goal_text = (
        normalize_text(title[:1000]).lower(),
        normalize_text(_HEADING.sub("", body_text[:MAX_BODY])).lower(),
    )
    supporting: list[tuple[str, int]] = []
    against: list[tuple[str, int]] = []
    for phrases, matches in ((rules.functional, supporting), (rules.non_functional, against)):
        for word, stem, pattern, weight in _compile_phrases(phrases):
            if stem not in title_text and stem not in goal_text:
                continue  # much cheaper than the pattern, and true of almost all words
            factor = TITLE_FACTOR * bool(pattern.search(title_text)) + bool(pattern.search(goal_text))
            if factor:
                matches.append((word, weight * factor))
    functional, non_functional = sum(score for _, score in supporting), sum(score for _, score in against)
    if not supporting and not against:
        return Classification("functional", "Functional, because no keyword says otherwise.")
    if functional >= non_functional:
        return Classification("functional", _reason("Functional", supporting, functional, against, non_functional))
    return Classification("non-functional", _reason("Non-functional", against, non_functional, supporting, functional))


def _reason(
    name: str, winners: list[tuple[str, int]], score: int, losers: list[tuple[str, int]], losing_score: int
) -> str:
    counter_evidence = f"; against: {_format_words(losers)} (weight {losing_score})" if losers else ""
    return f"{name}, because of {_format_words(winners)} (weight {score}){counter_evidence}."


def _format_words(matches: Iterable[tuple[str, int]]) -> str:
    """The five weightiest words."""
    best = sorted(matches, key=lambda entry: (-entry[1], entry[0]))[:5]
    return ", ".join(f"“{defuse(one_line(word, 40))}”" for word, _ in best)


def _word_pattern(word: str) -> str:
    start, end = r"\w+" * word.startswith("*"), r"\w*" * word.endswith("*")
    return start + re.escape(word.strip("*")) + end


@lru_cache(maxsize=64)
def _compile_phrases(phrases: tuple[str, ...]) -> tuple[tuple[str, str, re.Pattern[str], int], ...]:
    compiled: list[tuple[str, str, re.Pattern[str], int]] = []
    for phrase in phrases:
        text, _, weight = phrase.partition("^")
        words = [word for word in text.lower().split() if word.strip("*")]
        if words:
            inner = r"\s+".join(_word_pattern(word) for word in words)
            pattern = re.compile(rf"(?<![\w-]){inner}(?![\w-])")
            stem = max((word.strip("*") for word in words), key=len)
            compiled.append((text.strip(), stem, pattern, int(weight[:4]) if weight.isdecimal() else DEFAULT_WEIGHT))
    return tuple(compiled)
