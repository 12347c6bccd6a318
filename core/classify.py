"""Telling functional tasks from non-functional ones, and the plan that follows from it.

Functional is new or changed behaviour that a test can pin down before the code exists. Everything else starts
from something found wrong or missing: bug reports, configuration, environment, speed, clean-up, documents.
No model takes part: the rules are lists of words that a repository can add to; the reason names those found.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from core.sanitise import defuse, one_line, plain

Class = Literal["functional", "non-functional"]

TITLE_FACTOR = 3  # a title says what a task is; its body also says how it came about
MAX_BODY = 4_000  # characters; what a task is stands at its beginning
DEFAULT_WEIGHT = 1

_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t].*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ClassificationRules:
    """Words and phrases that speak for a class.

    A phrase matches whole words in any case; `*` at the end of a word stands for any ending (`document*`).
    Its weight is 1, or the number after `^` (`crash*^3`). In a title it counts three times as much as in a
    body.
    """

    functional: tuple[str, ...]
    non_functional: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Classification:
    """The class of a task and one sentence that says why."""

    kind: Class
    reason: str


DEFAULT_RULES = ClassificationRules(
    # What a product is about (orders, bookings) stands in bug reports and wishes alike: it is no evidence.
    functional=(
        # asking for something new
        "feature*^3", "feat^4", "user story^3", "as a^3", "i want^2", "would like^2", "would be nice^2",
        "it should be possible^3", "ability to^3", "allow*^2", "let users^2", "can", "should be able to^3",
        "support for^2", "implement*^2", "introduce*", "new command^2", "add", "adds", "create",
        "enable users^2", "choose", "idea", "prevent*^2", "avoid*", "new option*^2",
        # behaviour with rules of its own
        "endpoint*^2", "api", "webhook*^2", "validat*^2", "calculat*^2", "comput*^2", "reject*", "rule*^2",
        "limit*", "permission*^2", "role*", "approv*^2", "notif*^2", "send*^2", "remind*^2", "schedul*",
        "recurring^2", "automatic*", "search*^2", "filter*^2", "sort*", "pagina*^2", "import*", "export*",
        "bulk", "cancel", "restor*", "undo^2", "log in with^2", "sign up^2", "sign in with^2",
        "two-factor^2", "authenticat*", "authoris*", "authoriz*", "only if", "only to", "at most",
        "cannot be", "returns", "expire*", "show*", "button", "form", "page*", "preview", "select*",
    ),
    non_functional=(
        # something is broken
        "fix^4", "fixes^2", "bug*^3", "bugfix^4", "hotfix^4", "crash*^4", "fails^3", "failing^3",
        "failure*^2", "failed", "broken^4", "breaks^2", "regression*^4", "error 500^4", "500^2",
        "traceback^3", "stack trace^3", "exception*^2", "steps to reproduce^4", "to reproduce^3",
        "expected^2", "actual^2", "wrong*^3", "incorrect*^4", "does not work^4", "doesn't work^4",
        "not working^4", "not seem to be working^3", "no longer work*^4", "stopped working^4", "worked in^2",
        "instead of^2", "is not", "are not", "cannot^2", "can't^2", "typo*^4", "flaky^4", "leak*^4",
        "hang*^2", "deadlock*^3", "freez*^2", "is missing", "error*", "although", "nothing happens^3",
        "since the last^2", "killed^2", "still^2", "even after^3", "does nothing^4", "blank^2",
        "duplicated^3", "duplicates^2", "since the update^3", "unexpected*^2", "screenshot*^2",
        # speed, security, upkeep
        "slow*^4", "performance^3", "latency^3", "memory^2", "takes", "load time^3", "cve*^4", "vulnerab*^4",
        "deprecat*^4", "refactor*^5", "clean up^3", "cleanup^3", "chore^4", "housekeeping^4",
        "maintenance^3", "dead code^4", "unused^3", "rename*^4", "tech debt^4", "technical debt^4",
        "upgrade*^4", "migrate^3", "update^2", "version*", "bump*^5", "dependenc*^3", "dependabot^4",
        "renovate^3", "pin", "pins", "accessib*^3", "wcag^4", "no change of behaviour^4",
        # around the product
        "ci^4", "pipeline*^3", "github actions^4", "workflow file*^3", "docker*^4", "image", "kubernetes^4",
        "helm^4", "terraform^4", "ansible^4", "deploy*^4", "staging^2", "production", "environment*^2",
        "environment variable*^3", ".env^2", "config*^2", "infrastructure^4", "backup*^3", "monitoring^4",
        "alerting^3", "dashboard", "grafana^3", "logging^3", "lint*^5", "pre-commit^4", "formatter^3",
        "type hints^4", "build", "release notes^2", "rotate^3", "certificate*^2", "secret*",
        # words and tests about what is there
        "docs^5", "documentation^5", "document^3", "readme^5", "tutorial^4", "guide*^3", "runbook^4",
        "changelog^4", "docstring*^4", "issue template*^3", "contributing^4", "explain*^2", "translation*^2",
        "wording^3", "test coverage^4", "coverage^3", "add tests^5", "unit tests^2", "test*", "spike^5",
        "investigat*^4", "research^4", "evaluat*^2", "compare",
    ),
)  # fmt: skip

_PLANS: dict[Class, tuple[str, ...]] = {
    "functional": (
        "Red: write tests that state the acceptance criteria, and see them fail for the right reason.",
        "Green: write the simplest code that makes them pass, without weakening a test.",
        "Refactor: tidy the code and the tests while everything stays green.",
    ),
    "non-functional": (
        "Symptom: show what is wrong or missing, with the command, the log or the page that shows it.",
        "Cause: find out why, and write it down in the pull request.",
        "Change: make the smallest change that removes the cause, not only the symptom.",
        "Proof: show with the same command, log or page that it is gone; where possible a test keeps it so.",
    ),
}


def plan(kind: Class) -> tuple[str, ...]:
    """The lines of the checklist that an agent receives for a task of this class, in order."""
    return _PLANS[kind]


def classify(title: str, body_text: str, rules: ClassificationRules = DEFAULT_RULES) -> Classification:
    """The class of a task by its title and its goal in words. The same input gives the same answer.

    Give the goal (`Intake.goal`) rather than the whole body, whose other sections speak of tests and documents
    whatever the task is. Headings are left out in any case: one of the form's own is `Dependencies`.
    A tie, and a text without any known word, counts as functional: a test written first does no harm.
    """
    head, body = plain(title[:1000]).lower(), plain(_HEADING.sub("", body_text[:MAX_BODY])).lower()
    speaks: list[tuple[str, int]] = []
    against: list[tuple[str, int]] = []
    for phrases, found in ((rules.functional, speaks), (rules.non_functional, against)):
        for word, pattern, weight in _compiled(phrases):
            times = TITLE_FACTOR * bool(pattern.search(head)) + bool(pattern.search(body))
            if times:
                found.append((word, weight * times))
    functional, other = sum(score for _, score in speaks), sum(score for _, score in against)
    if not speaks and not against:
        return Classification("functional", "Functional, because no word in it says otherwise.")
    if functional >= other:
        return Classification("functional", _reason("Functional", speaks, functional, against, other))
    return Classification("non-functional", _reason("Non-functional", against, other, speaks, functional))


def _reason(name: str, winners: list[tuple[str, int]], score: int, losers: list[tuple[str, int]], other: int) -> str:
    against = f"; against it {_listed(losers)} ({other})" if losers else ""
    return f"{name}, because of {_listed(winners)} (weight {score}){against}."


def _listed(found: Iterable[tuple[str, int]]) -> str:
    """The five weightiest words."""
    best = sorted(found, key=lambda entry: (-entry[1], entry[0]))[:5]
    return ", ".join(f"“{defuse(one_line(word, 40))}”" for word, _ in best)


@lru_cache(maxsize=64)
def _compiled(phrases: tuple[str, ...]) -> tuple[tuple[str, re.Pattern[str], int], ...]:
    compiled: list[tuple[str, re.Pattern[str], int]] = []
    for phrase in phrases:
        text, _, weight = phrase.partition("^")
        words = [word for word in text.lower().split() if word.strip("*")]
        if words:
            inner = r"\s+".join(re.escape(word.rstrip("*")) + (r"\w*" if word.endswith("*") else "") for word in words)
            pattern = re.compile(rf"(?<![\w-]){inner}(?![\w-])")
            compiled.append((text.strip(), pattern, int(weight[:4]) if weight.isdecimal() else DEFAULT_WEIGHT))
    return tuple(compiled)
