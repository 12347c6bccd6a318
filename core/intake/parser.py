"""Parses a task from the body of an issue.

One parser handles both kinds of body: GitHub renders the issue form as `### Label` with the answer below, and people
write the same headings by hand, at any level and in their own words. Nothing here raises; what cannot be understood
becomes a sentence in `ParsedIssue.problems` that the author can act on.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.intake.references import REFERENCE, parse_reference
from core.text_safety.markdown import ListItem, Section, prose, sections
from core.text_safety.sanitize import clean, defuse, normalize_text, one_line, truncate

MAX_GOAL = 20_000  # characters
MAX_NOTES = 20_000
MAX_CRITERIA = 100
MAX_CRITERION_LENGTH = 1_000  # characters
MAX_CAPABILITIES = 20
MAX_CAPABILITY_LENGTH = 50  # characters, as many as a label takes
MAX_DEPENDENCIES = 50
MAX_FILES = 200
MAX_FILE_LENGTH = 300  # characters
MAX_ESTIMATE = 100
MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class AcceptanceCriterion:
    """One line of a checklist."""

    text: str
    ticked: bool = False


@dataclass(frozen=True, slots=True)
class DependencyReference:
    """An issue that must be finished first; `owner_repo` is None for the task's own repository."""

    owner_repo: str | None
    number: int


@dataclass(frozen=True, slots=True)
class ParsedIssue:
    """What the text of an issue says about its task: clean text; names and numbers are not looked up yet."""

    goal: str = ""
    criteria: tuple[AcceptanceCriterion, ...] = ()
    definition_of_done: tuple[AcceptanceCriterion, ...] = ()
    priority: str | None = None  # P0, P1 or P2
    required: tuple[str, ...] = ()  # capabilities, sorted, each once
    preferred: tuple[str, ...] = ()  # likewise, without the required ones
    dependencies: tuple[DependencyReference, ...] = ()
    files: tuple[str, ...] = ()  # relative paths and patterns
    estimate: str | None = None
    notes: str = ""  # everything under unknown headings
    problems: tuple[str, ...] = ()  # sentences for the author


_HEADINGS = {
    "goal": "goal, goals, objective, objectives, summary, description, what, problem, user story",
    "criteria": "acceptance criteria, acceptance criterion, acceptance, criteria, acceptance tests",
    "done": "definition of done, done when, dod, done, done criteria",
    "priority": "priority, urgency",
    "required": "required capabilities, capabilities, needs, required skills, capabilities needed, required",
    "preferred": "preferred capabilities, preferred skills, preferred, nice to have capabilities",
    "dependencies": "dependencies, depends on, blocked by, dependency, prerequisites",
    "files": "files or areas affected, files, files affected, affected files, areas affected, "
    "affected areas, areas, files and areas, files and components, components affected, files to change",
    "estimate": "estimate, estimated effort, effort, size, estimation, time estimate",
}
_FIELD_BY_HEADING = {name: field for field, names in _HEADINGS.items() for name in names.split(", ")}
_EMPTY_ANSWERS = {"", "no response", "none", "n a", "na", "nothing", "nil", "tbd", "todo"}


def parse_issue(body: str | None) -> ParsedIssue:
    """Read the body of an issue. Never raises; costs about one millisecond per kilobyte."""
    text = clean(body or "")
    fields, notes = _split_fields(text)
    problems: list[str] = []
    required = _read_capabilities(fields["required"], "Required capabilities", problems)
    preferred = _read_capabilities(fields["preferred"], "Preferred capabilities", problems)
    files, areas = _read_files(fields["files"], problems)
    if areas:
        notes.append("Areas affected: " + ", ".join(areas))
    return ParsedIssue(
        goal=_limit_text(_field_text(fields["goal"]), MAX_GOAL, "Goal", problems),
        criteria=_read_criteria(fields["criteria"], "Acceptance criteria", problems),
        definition_of_done=_read_criteria(fields["done"], "Definition of done", problems),
        priority=_read_priority(fields["priority"], problems),
        required=required,
        preferred=tuple(name for name in preferred if name not in required),
        dependencies=_read_dependencies(text, fields["dependencies"], problems),
        files=files,
        estimate=one_line(_field_text(fields["estimate"]), MAX_ESTIMATE) or None,
        notes=_limit_text("\n\n".join(notes), MAX_NOTES, "The rest of the text", problems),
        problems=tuple(problems[:MAX_PROBLEMS]),
    )


def field_for_heading(heading: str) -> str | None:
    """The field of this heading; None if it is unknown."""
    return _FIELD_BY_HEADING.get(re.sub(r"^\d+ ", "", _normalize(heading)))


def missing_fields(body: str | None) -> frozenset[str]:
    """The fields about which the text says nothing: without heading, or with nothing below it."""
    fields, _ = _split_fields(clean(body or ""))
    return frozenset(field for field, parts in fields.items() if not _field_text(parts))


def fingerprint(title: str, intake: ParsedIssue) -> str:
    """SHA-256 (64 hexadecimal digits) of title and goal with case, punctuation and white space folded.

    Two tasks with the same fingerprint ask for the same thing.
    """
    return hashlib.sha256(f"{_normalize(title)}\n{_normalize(intake.goal)}".encode()).hexdigest()


def _normalize(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", normalize_text(text)).casefold()))


def _split_fields(text: str) -> tuple[dict[str, list[Section]], list[str]]:
    """The sections of each field, and the rest."""
    fields: dict[str, list[Section]] = {field: [] for field in _HEADINGS}
    notes: list[str] = []
    current: tuple[str, int] | None = None
    preamble, *other_sections = sections(text)
    for section in other_sections:
        field = field_for_heading(section.heading)
        if field:
            current = (field, section.level)
        elif current and section.level > current[1]:
            # A heading of the author's own inside a field belongs to it: criteria are often grouped.
            heading = f"{'#' * section.level} {section.heading}"
            source = f"{heading}\n\n{section.source}".strip()
            section = Section(section.heading, section.level, source, section.items)
        else:
            current = None
            notes.append(f"{'#' * section.level} {section.heading}\n\n{section.source}".strip())
            continue
        fields[current[0]].append(section)
    if preamble.source:
        if _field_text(fields["goal"]):
            notes.insert(0, preamble.source)
        else:  # an issue often describes its subject before the first heading
            fields["goal"] = [preamble]
    return fields, notes


def _field_text(parts: Iterable[Section]) -> str:
    """The text of a field; empty if it says in some way that there is nothing to say."""
    return "\n\n".join(part.source for part in parts if _normalize(part.source) not in _EMPTY_ANSWERS).strip()


def _limit_text(text: str, limit: int, name: str, problems: list[str]) -> str:
    if len(text) > limit:
        problems.append(f"{name} is longer than {limit} characters, so the end was left out: shorten it.")
    return truncate(text, limit)


def _read_criteria(parts: Iterable[Section], name: str, problems: list[str]) -> tuple[AcceptanceCriterion, ...]:
    items = [item for part in parts for item in part.items if _normalize(item.text) not in _EMPTY_ANSWERS]
    # Plain items below a checklist explain it; they could never be ticked.
    selected: list[ListItem] = [item for item in items if item.ticked is not None]
    selected = selected or [item for item in items if item.depth == 0]
    if len(selected) > MAX_CRITERIA:
        problems.append(f"{name} has {len(selected)} items, more than {MAX_CRITERIA}: split the task.")
    if any(len(item.text) > MAX_CRITERION_LENGTH for item in selected):
        problems.append(f"{name} has an item longer than {MAX_CRITERION_LENGTH} characters: shorten it.")
    return tuple(
        AcceptanceCriterion(one_line(item.text, MAX_CRITERION_LENGTH), bool(item.ticked))
        for item in selected[:MAX_CRITERIA]
    )


def _read_priority(parts: Iterable[Section], problems: list[str]) -> str | None:
    answer = _field_text(parts)
    match = re.search(r"\bP([0-9]+)\b", answer, re.IGNORECASE)
    if match and match[1] in {"0", "1", "2"}:
        return f"P{match[1]}"
    if answer:
        problems.append(f"The priority {_quote(answer)} is unknown: choose P0, P1 or P2.")
    return None


_LIST_MARKER = re.compile(r"^(?:[-*+]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\](?:[ \t]+|$))?")


def _list_entries(parts: Iterable[Section]) -> Iterator[str]:
    """The entries of a list that is written with commas, on lines of their own or with bullets."""
    for line in _field_text(parts).split("\n"):
        content = _LIST_MARKER.sub("", line.strip())
        if content.startswith(("```", "~~~", "#")):
            continue
        # A path in backticks ends at the second one; what follows explains it.
        spans = re.findall(r"`([^`]+)`", content)
        for entry in spans or re.split(r"[,;]", content):
            if _normalize(entry) not in _EMPTY_ANSWERS or re.search(r"[*/]", entry):
                yield entry.strip()


_CAPABILITY = re.compile(r"[a-z0-9][a-z0-9+#._-]*")


def _read_capabilities(parts: Iterable[Section], name: str, problems: list[str]) -> tuple[str, ...]:
    accepted: set[str] = set()
    for entry in _list_entries(parts):
        word = entry.lower()
        if _CAPABILITY.fullmatch(word) and len(word) <= MAX_CAPABILITY_LENGTH:
            accepted.add(word)
        else:
            problems.append(
                f"{name}: {_quote(entry)} is not a capability. Write single words such as `python` or "
                "`machine-learning` (letters, digits and + # . _ -), separated by commas."
            )
    if len(accepted) > MAX_CAPABILITIES:
        problems.append(f"{name} names {len(accepted)}, more than {MAX_CAPABILITIES}: remove some.")
    return tuple(sorted(accepted)[:MAX_CAPABILITIES])


def _read_files(parts: Iterable[Section], problems: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Paths and patterns, and the areas described in words."""
    files: dict[str, None] = {}
    areas: dict[str, None] = {}
    for entry in _list_entries(parts):
        path = re.sub(r"^(?:\./)+", "", re.sub(r"/{2,}", "/", entry))
        segments = path.split("/")
        problem = (
            "is too long for a path"
            if len(path) > MAX_FILE_LENGTH
            else "is a web address; give the path inside the repository"
            if re.match(r"[a-z][a-z0-9+.-]+:/", path, re.IGNORECASE)
            else "is not relative; paths start at the top of the repository, without `/`, `~` or a drive"
            if re.match(r"[/~:-]|[A-Za-z]:", path)
            else "leads out of the repository or into git's own files"
            if ".." in segments or ".git" in segments
            else "has a character that is not allowed in a path; separate folders with `/`"
            if re.search(r"[\\<>|\"\x00-\x1f]", path)
            else ""
        )
        if problem:
            problems.append(f"Files or areas affected: {_quote(entry)} {problem}.")
        elif re.search(r"\s", path) and not re.search(r"[/*]|\.\w{1,5}$", path):
            areas[one_line(path, MAX_FILE_LENGTH)] = None
        elif path:
            files[path] = None
    if len(files) > MAX_FILES:
        problems.append(f"More than {MAX_FILES} files are named: use patterns such as `src/shop/**`.")
    return tuple(files)[:MAX_FILES], tuple(areas)[:MAX_FILES]


# "does not depend on" and similar say the opposite.
_DEPENDENCY_KEYWORD = re.compile(
    r"(?<!not )(?<!n[\'\u2019]t )(?<!no longer )(?<!never )"
    r"\b(?:(?:depends?|depending|dependent)[ \t]{1,9}(?:up)?on|blocked[ \t]{1,9}by)\b[ \t]{0,9}:?",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"[ \t]*(?:,|;|&|\band\b|\+)?[ \t]*(?:\band\b)?[ \t]*", re.IGNORECASE)


def _read_dependencies(text: str, parts: list[Section], problems: list[str]) -> tuple[DependencyReference, ...]:
    dependencies: dict[DependencyReference, None] = {}
    answer = _field_text(parts)
    explicit = [DependencyReference(*parse_reference(match)) for match in REFERENCE.finditer(prose(answer))]
    if answer and not explicit and not re.match(r"no(?:ne|thing)?\b", _normalize(answer)):
        problems.append(
            f"Dependencies: {_quote(answer)} is not an issue. Write the numbers, such as `#12, acme/shop#3`."
        )
    for dependency in [*explicit, *_keyword_references(prose(text))]:
        dependencies[dependency] = None
    if len(dependencies) > MAX_DEPENDENCIES:
        problems.append(f"More than {MAX_DEPENDENCIES} dependencies are named: split the task.")
    return tuple(dependencies)[:MAX_DEPENDENCIES]


def _keyword_references(text: str) -> Iterator[DependencyReference]:
    """References after `depends on` or `blocked by`: on the same line, or one a line in the list below it."""
    for keyword in _DEPENDENCY_KEYWORD.finditer(text):
        position = keyword.end()
        same_line = REFERENCE.match(text, _skip_separator(text, position))
        while match := REFERENCE.match(text, _skip_separator(text, position)):
            yield DependencyReference(*parse_reference(match))
            position = match.end()
        if not same_line and text[position : position + 1] == "\n" and keyword[0].endswith(":"):
            for line in text[position + 1 :].split("\n", MAX_DEPENDENCIES)[:MAX_DEPENDENCIES]:
                match = REFERENCE.match(line.strip())
                if match is None:
                    break
                yield DependencyReference(*parse_reference(match))


def _skip_separator(text: str, position: int) -> int:
    match = _SEPARATOR.match(text, position)
    return match.end() if match else position


def _quote(text: str) -> str:
    """The author's words inside a sentence of the bot, short and without any effect."""
    return f"“{defuse(one_line(text, 60))}”"
