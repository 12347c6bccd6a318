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
from core.intake.parser import ParsedIssue, field_of, left_out, parse
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
_READ: Final[Mapping[str, str]] = {
    "goal": "goal",
    "criteria": "criteria",
    "files": "files",
    "done": "definition_of_done",
    "priority": "priority",
    "required": "required",
    "estimate": "estimate",
}
FORM_LEVEL: Final = 3  # of the headings that GitHub makes of the form
# What GitHub's form writes for an empty answer: a placeholder, and the checkbox that the form itself offers.
_UNSAID = re.compile(r"_No response_|- \[ \]")
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n|\Z)")


class TemplateError(Exception):
    """The text cannot be filled in; says why, and what the author can do."""


@dataclass(frozen=True, slots=True)
class FilledTemplate:
    """A text completed from a template, and the headings that were added to."""

    body: str
    headings: tuple[str, ...] = ()


def parts(template: TaskTemplate) -> dict[str, str]:
    """What a template says under each heading, by field. None of it mentions a user or refers to an issue."""
    phases = template.phases
    said = {
        "goal": template.goal,
        "criteria": _listed(template.criteria, "- [ ] "),
        "files": "\n".join(part for part in (_paths(template.files), _listed(template.components)) if part),
        "integration": _listed(template.integration),
        "phases": _listed((f"Red: {phases.red}", f"Green: {phases.green}", f"Refactor: {phases.refactor}"))
        if phases
        else "",
        "done": _listed(template.done, "- [ ] "),
        "priority": template.priority or "",
        "required": ", ".join(template.capabilities),
        "preferred": ", ".join(template.prefers),
        "estimate": template.estimate,
    }
    return {field: defuse(clean(said[field])) for field in HEADINGS if said[field]}


def _listed(lines: Collection[str], mark: str = "- ") -> str:
    return "\n".join(mark + line for line in lines)


def _paths(paths: Collection[str]) -> str:
    return "\n".join(f"- `{path}`" for path in paths)


def markdown(template: TaskTemplate) -> str:
    """The whole template as the body of an issue."""
    return _sections(parts(template), FORM_LEVEL) + "\n"


def _sections(said: Mapping[str, str], level: int) -> str:
    return "\n\n".join(f"{'#' * level} {HEADINGS[field]}\n\n{text}" for field, text in said.items())


def fill(body: str, template: TaskTemplate, leave: Collection[str] = ()) -> FilledTemplate:
    """Fill in what the text lacks and the template has; fields in `leave` stay as they are.

    Raises `TemplateError`.
    """
    wanting = _unsaid(body) - set(leave)
    said = {field: text for field, text in parts(template).items() if field in wanting}
    if not said:
        return FilledTemplate(body)
    for made in dict.fromkeys((_with(body, said, in_place=True), _with(body, said, in_place=False))):
        if len(made) > BODY_LIMIT:
            raise TemplateError(f"The text would become longer than the {BODY_LIMIT} characters that GitHub accepts.")
        if _says_both(body, made, said):
            return FilledTemplate(made, tuple(HEADINGS[field] for field in said))
    raise TemplateError(
        "Filling in the text would change it: look for a code block, a comment or HTML that is never closed, "
        "and for very long text."
    )


def _unsaid(body: str) -> frozenset[str]:
    there = {heading.text.casefold() for heading in headings(clean(body))}
    ours = {field for field in HEADINGS if field_of(HEADINGS[field]) is None}
    return left_out(body) | {field for field in ours if HEADINGS[field].casefold() not in there}


def _with(body: str, said: Mapping[str, str], *, in_place: bool) -> str:
    """The body with these parts: under their heading if it is empty, the others at the end."""
    lines = [line for line in _LINE.findall(body) if line]
    heads, left = headings(body), dict(said)
    out: list[str] = []
    at = 0
    ends = [*(head.begin for head in heads), len(lines)][1:]
    for head, end in zip(heads, ends, strict=True):
        field = field_of(head.text) or ""
        below = [line.strip() for line in lines[head.end : end] if line.strip()]
        if in_place and field in left and len(below) <= 1 and all(map(_UNSAID.fullmatch, below)):
            out += [*lines[at : head.begin], "".join(lines[head.begin : head.end]).rstrip("\r\n"), "\n\n"]
            out += [left.pop(field), "\n\n" if end < len(lines) else "\n"]
            at = end
    kept = "".join((*out, *lines[at:]))
    if not left:
        return kept
    level = min((head.level for head in heads), default=FORM_LEVEL)
    gap = "" if not kept.strip() else "\n" if kept.endswith("\n") else "\n\n"
    return f"{kept}{gap}{_sections(left, level)}\n"


def _says_both(before: str, after: str, said: Mapping[str, str]) -> bool:
    """Whether `after` parses to what the author said plus what the template adds."""
    was, now, added = parse(before), parse(after), parse(_sections(said, FORM_LEVEL))
    wanted = {name: getattr(added if field in said else was, name) for field, name in _READ.items()}
    preferred = {*was.preferred, *(added.preferred if "preferred" in said else ())} - set(now.required)
    return (
        all(getattr(now, name) == value for name, value in wanted.items())
        and set(now.preferred) == preferred
        and set(now.dependencies) >= {*was.dependencies, *added.dependencies}
        and now.problems == was.problems
        and _in_order(_noted(was), _noted(now))
        and _in_order(_noted(added), _noted(now))
    )


def _noted(intake: ParsedIssue) -> list[str]:
    """The lines of the notes, whatever level their headings have."""
    return [line.strip().lstrip("#").strip() for line in intake.notes.split("\n") if line.strip()]


def _in_order(lines: Collection[str], among: Collection[str]) -> bool:
    """Whether all of `lines` are there, in this order."""
    rest = iter(among)
    return all(line in rest for line in lines)


def fitting(title: str, templates: Mapping[str, TaskTemplate], limit: int = 5) -> tuple[str, ...]:
    """The names of the templates whose words the title has; most matches first."""
    folded = title.casefold()
    found = {name: sum(_stands(word, folded) for word in template.words) for name, template in templates.items()}
    fits = [name for name in sorted(found, key=lambda name: (-found[name], name)) if found[name]]
    return tuple(fits[:limit])


def _stands(word: str, title: str) -> bool:
    ending = r"\w*" if word.endswith("*") else r"(?:e?s)?"
    return bool(re.search(rf"\b{re.escape(word.rstrip('*').casefold())}{ending}\b", title))
