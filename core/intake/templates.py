"""Fills missing sections of an issue from a task template.

What the author has written stays, word for word. The result is parsed again like every issue: each field must then say
what its author said, or what the template says if the author said nothing. A text for which that is impossible (an
unclosed code block swallows everything below it) is rejected.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from config.task_templates import TaskTemplate
from core.intake.parser import ParsedIssue, field_for_heading, missing_fields, parse_issue
from core.text_safety.markdown import headings
from core.text_safety.sanitize import BODY_LIMIT, clean, defuse

# The headings of the issue form, and two that only templates have; in the order in which they are written.
HEADINGS: Final[Mapping[str, str]] = {
    "goal": "Goal",
    "criteria": "Acceptance criteria",
    "files": "Files or areas affected",
    "integration": "Integration points",
    "phases": "Red, green, refactor",
    "done": "Definition of done",
    "priority": "Priority",
    "required": "Required capabilities",
    "preferred": "Preferred capabilities",
    "estimate": "Estimate",
}
# What is compared after parsing, by field. `preferred` depends on the required ones, and notes are compared by line.
_PARSED_FIELDS: Final[Mapping[str, str]] = {
    "goal": "goal",
    "criteria": "criteria",
    "files": "files",
    "done": "definition_of_done",
    "priority": "priority",
    "required": "required",
    "estimate": "estimate",
}
FORM_LEVEL: Final = 3  # of the headings that GitHub makes of the form
MAX_SUGGESTIONS: Final = 5  # templates that fit a title
# What GitHub's form writes for an empty answer: a placeholder, and the checkbox that the form itself offers.
_EMPTY_ANSWER = re.compile(r"_No response_|- \[ \]")
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n|\Z)")


class TemplateError(Exception):
    """The text cannot be filled in; says why, and what the author can do."""


@dataclass(frozen=True, slots=True)
class FilledTemplate:
    """A text completed from a template, and the headings that were added to."""

    body: str
    headings: tuple[str, ...] = ()


def template_sections(template: TaskTemplate) -> dict[str, str]:
    """What a template says under each heading, by field. None of it mentions a user or refers to an issue."""
    phases = template.phases
    texts = {
        "goal": template.goal,
        "criteria": _bullet_list(template.criteria, "- [ ] "),
        "files": "\n".join(part for part in (_path_list(template.files), _bullet_list(template.components)) if part),
        "integration": _bullet_list(template.integration),
        "phases": _bullet_list((f"Red: {phases.red}", f"Green: {phases.green}", f"Refactor: {phases.refactor}"))
        if phases
        else "",
        "done": _bullet_list(template.done, "- [ ] "),
        "priority": template.priority or "",
        "required": ", ".join(template.capabilities),
        "preferred": ", ".join(template.prefers),
        "estimate": template.estimate,
    }
    return {field: defuse(clean(texts[field])) for field in HEADINGS if texts[field]}


def _bullet_list(lines: Collection[str], mark: str = "- ") -> str:
    return "\n".join(mark + line for line in lines)


def _path_list(paths: Collection[str]) -> str:
    return "\n".join(f"- `{path}`" for path in paths)


def render_template(template: TaskTemplate) -> str:
    """The whole template as the body of an issue."""
    return _render_sections(template_sections(template), FORM_LEVEL) + "\n"


def _render_sections(texts: Mapping[str, str], level: int) -> str:
    return "\n\n".join(f"{'#' * level} {HEADINGS[field]}\n\n{text}" for field, text in texts.items())


def fill_template(body: str, template: TaskTemplate, skipped_fields: Collection[str] = ()) -> FilledTemplate:
    """Fill in what the text lacks and the template has; the `skipped_fields` stay as they are.

    Raises `TemplateError`.
    """
    missing = _unfilled_fields(body) - set(skipped_fields)
    texts = {field: text for field, text in template_sections(template).items() if field in missing}
    if not texts:
        return FilledTemplate(body)
    for candidate in dict.fromkeys(
        (_insert_sections(body, texts, in_place=True), _insert_sections(body, texts, in_place=False))
    ):
        if len(candidate) > BODY_LIMIT:
            raise TemplateError(f"The text would become longer than the {BODY_LIMIT} characters that GitHub accepts.")
        if _keeps_content(body, candidate, texts):
            return FilledTemplate(candidate, tuple(HEADINGS[field] for field in texts))
    raise TemplateError(
        "Filling in the text would change it: look for a code block, a comment or HTML that is never closed, "
        "and for very long text."
    )


def _unfilled_fields(body: str) -> frozenset[str]:
    present = {heading.text.casefold() for heading in headings(clean(body))}
    template_fields = {field for field in HEADINGS if field_for_heading(HEADINGS[field]) is None}
    return missing_fields(body) | {field for field in template_fields if HEADINGS[field].casefold() not in present}


def _insert_sections(body: str, texts: Mapping[str, str], *, in_place: bool) -> str:
    """The body with these parts: under their heading if it is empty, the others at the end."""
    lines = [line for line in _LINE.findall(body) if line]
    body_headings, remaining = headings(body), dict(texts)
    pieces: list[str] = []
    position = 0
    ends = [*(head.begin for head in body_headings), len(lines)][1:]
    for head, end in zip(body_headings, ends, strict=True):
        field = field_for_heading(head.text) or ""
        content = [line.strip() for line in lines[head.end : end] if line.strip()]
        if in_place and field in remaining and len(content) <= 1 and all(map(_EMPTY_ANSWER.fullmatch, content)):
            pieces += [*lines[position : head.begin], "".join(lines[head.begin : head.end]).rstrip("\r\n"), "\n\n"]
            pieces += [remaining.pop(field), "\n\n" if end < len(lines) else "\n"]
            position = end
    result = "".join((*pieces, *lines[position:]))
    if not remaining:
        return result
    level = min((head.level for head in body_headings), default=FORM_LEVEL)
    separator = "" if not result.strip() else "\n" if result.endswith("\n") else "\n\n"
    return f"{result}{separator}{_render_sections(remaining, level)}\n"


def _keeps_content(before: str, after: str, texts: Mapping[str, str]) -> bool:
    """Whether `after` parses to what the author said plus what the template adds."""
    original, result, added = parse_issue(before), parse_issue(after), parse_issue(_render_sections(texts, FORM_LEVEL))
    expected = {name: getattr(added if field in texts else original, name) for field, name in _PARSED_FIELDS.items()}
    preferred = {*original.preferred, *(added.preferred if "preferred" in texts else ())} - set(result.required)
    return (
        all(getattr(result, name) == value for name, value in expected.items())
        and set(result.preferred) == preferred
        and set(result.dependencies) >= {*original.dependencies, *added.dependencies}
        and result.problems == original.problems
        and _is_subsequence(_note_lines(original), _note_lines(result))
        and _is_subsequence(_note_lines(added), _note_lines(result))
    )


def _note_lines(intake: ParsedIssue) -> list[str]:
    """The lines of the notes, whatever level their headings have."""
    return [line.strip().lstrip("#").strip() for line in intake.notes.split("\n") if line.strip()]


def _is_subsequence(lines: Collection[str], others: Collection[str]) -> bool:
    """Whether all of `lines` are there, in this order."""
    iterator = iter(others)
    return all(line in iterator for line in lines)


def matching_templates(title: str, templates: Mapping[str, TaskTemplate]) -> tuple[str, ...]:
    """The names of the templates whose words the title has; most matches first."""
    folded = title.casefold()
    match_counts = {
        name: sum(_word_matches(word, folded) for word in template.words) for name, template in templates.items()
    }
    names = [name for name in sorted(match_counts, key=lambda name: (-match_counts[name], name)) if match_counts[name]]
    return tuple(names[:MAX_SUGGESTIONS])


def _word_matches(word: str, title: str) -> bool:
    ending = r"\w*" if word.endswith("*") else r"(?:e?s)?"
    return bool(re.search(rf"\b{re.escape(word.rstrip('*').casefold())}{ending}\b", title))
