"""Loads task templates: the service's own in `config/templates/`, a repository's in `.github/task-templates/`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from config.agent_kinds import NAME_PATTERN, Capabilities, ConfigModel, check_unique
from config.labels import MAX_NAME_LENGTH
from config.problems import ConfigError, Problem, quote, validation_error
from config.repository import PriorityName
from config.validation import parse_model, read_file

TEMPLATES_FOLDER: Final = ".github/task-templates"
BUILT_IN_FOLDER: Final = Path(__file__).with_name("templates")
MAX_REPOSITORY_TEMPLATES: Final = 50  # per repository; the others are named and left out
MAX_LINE_LENGTH: Final = 300  # characters of one line of a list
MAX_TEXT_LENGTH: Final = 4_000  # characters of the goal

# Text that would end its section, or open a block that swallows the following sections.
_BLOCK_SYNTAX = re.compile(r"^ {0,3}(?:#{1,6}(?:\s|$)|```|~~~|=+\s*$|-+\s*$|<)", re.MULTILINE)


def _check_line(value: str) -> str:
    if not value or value != value.strip() or not value.isprintable() or len(value) > MAX_LINE_LENGTH:
        raise validation_error(f"must be one line of 1 to {MAX_LINE_LENGTH} characters without blanks around it")
    if _BLOCK_SYNTAX.search(value):
        raise validation_error("must be plain text: no heading, code block or HTML", suggestion="begin it with a word")
    return value


def _check_text(value: str) -> str:
    if not value.strip() or len(value) > MAX_TEXT_LENGTH:
        raise validation_error(f"must be text of 1 to {MAX_TEXT_LENGTH} characters")
    if _BLOCK_SYNTAX.search(value):
        raise validation_error("must be paragraphs and lists: no heading, code block or HTML in it")
    return value


def _check_path(value: str) -> str:
    if re.search(r"[`\s]", value) or value.startswith("/") or ".." in value.split("/"):
        raise validation_error(
            "must be a path or pattern from the top of the repository, such as `docs/**`",
            suggestion="put other things under `components`",
        )
    return value


def _check_phrase(value: str) -> str:
    if re.search(r"[,;/*`]", value) or " " not in value:
        raise validation_error(
            "must be two words or more, without a comma or slash",
            suggestion="put a path under `files`",
        )
    return value


SingleLine = Annotated[str, AfterValidator(_check_line)]
LineList = Annotated[tuple[SingleLine, ...], Field(max_length=30), AfterValidator(check_unique)]
PathList = Annotated[
    tuple[Annotated[SingleLine, AfterValidator(_check_path)], ...], Field(max_length=30), AfterValidator(check_unique)
]
ComponentList = Annotated[
    tuple[Annotated[SingleLine, AfterValidator(_check_phrase)], ...], Field(max_length=30), AfterValidator(check_unique)
]


class Phases(ConfigModel):
    """The steps of a test-first plan for this kind of task."""

    red: SingleLine = Field(description="The tests to write first, which must fail.")
    green: SingleLine = Field(description="The simplest code that makes them pass.")
    refactor: SingleLine = Field(description="What to clean up while all tests pass.")


class TaskTemplate(ConfigModel):
    """A task template. Its name is the name of its file, without `.yml`."""

    version: Literal[1] = Field(description="The version of this format: 1.")
    title: SingleLine = Field(description="Name of this kind of task in lists.")
    use: SingleLine = Field(description="When to use the template, in one sentence.")
    kind: Literal["functional", "non-functional"] = Field(
        description="The class, which decides the agent's plan. A functional template has `phases`."
    )
    words: LineList = Field(
        (),
        description="Words in an issue's title for which `/task` suggests the template; `crash*` matches any ending.",
    )
    goal: Annotated[str, AfterValidator(_check_text)] = Field(
        description="What must be true afterwards; the issue's title says of what."
    )
    criteria: Annotated[LineList, Field(min_length=1)] = Field(
        description="The acceptance criteria, each one checkable."
    )
    files: PathList = Field((), description="Paths or patterns that such a task usually touches.")
    components: ComponentList = Field((), description="Parts of the product that it usually affects, in words.")
    integration: LineList = Field((), description="Where it touches the rest of the system, and what to check there.")
    done: LineList = Field((), description="Definition of done, in addition to the criteria.")
    priority: PriorityName | None = Field(None, description="The priority, if this kind of work implies one.")
    capabilities: Capabilities = Field((), description="Capabilities that the agent must have.")
    prefers: Capabilities = Field((), description="Capabilities that help.")
    estimate: SingleLine = Field(description="The usual size.")
    phases: Phases | None = Field(None, description="Red, green and refactor, for a functional task.")

    @model_validator(mode="after")
    def _check_phases(self) -> TaskTemplate:
        if self.kind == "functional" and self.phases is None:
            raise validation_error(
                "a functional task needs its phases", suggestion="add `phases` with red, green and refactor"
            )
        if self.kind == "non-functional" and self.phases is not None:
            raise validation_error(
                "only a functional task has phases", suggestion="remove them, or set `kind: functional`", key="phases"
            )
        return self


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """A file of a repository's template folder, as it was last read."""

    path: str
    sha: str  # of its content, to recognise changes
    text: str = ""
    problem: str = ""  # why it could not be read


@dataclass(frozen=True, slots=True)
class Templates:
    """The templates of a repository, by name; its own override the service's."""

    by_name: Mapping[str, TaskTemplate] = field(default_factory=dict)
    repository_names: frozenset[str] = frozenset()
    invalid_files: Mapping[str, str] = field(default_factory=dict)  # invalid files, by path, with the reason


def parse_template_name(path: str) -> str:
    """The template's name for a file."""
    return PurePosixPath(path).stem


def parse_template(text: str, path: str) -> TaskTemplate:
    """Parse a template. Raises ConfigError with every problem, its line and the nearest valid word."""
    name = parse_template_name(path)
    if not re.fullmatch(NAME_PATTERN, name, re.ASCII) or len(name) > MAX_NAME_LENGTH:
        rule = f"is not a valid template name: use a-z 0-9 + # . _ - and at most {MAX_NAME_LENGTH} characters"
        raise ConfigError(path, [Problem(1, 1, "", f"{quote(name)} {rule}")])
    return parse_model(TaskTemplate, text, path)


def load_templates(folder: Path = BUILT_IN_FOLDER) -> dict[str, TaskTemplate]:
    """The service's own templates by name, in alphabetical order.

    Raises ConfigError (its text names file and line) if one cannot be read or is invalid; the start stops then.
    """
    templates: dict[str, TaskTemplate] = {}
    for path in sorted(folder.glob("*.yml")):
        templates[path.stem] = parse_template(read_file(path), str(path))
    if not templates:
        raise ConfigError(str(folder), [Problem(1, 1, "", "there are no task templates here")])
    return templates


@cache
def built_in_templates() -> Mapping[str, TaskTemplate]:
    """The service's own templates, read once."""
    return load_templates()


@lru_cache(maxsize=512)
def _parse_file(file: TemplateFile) -> TaskTemplate | str:
    """The template in a repository's file, or why it is invalid."""
    if file.problem:
        return file.problem
    try:
        return parse_template(file.text, file.path)
    except ConfigError as error:
        first, *further_problems = error.problems
        return f"line {first.line}: {first}" + (f" (and {len(further_problems)} more)" if further_problems else "")


def effective_templates(files: Iterable[TemplateFile]) -> Templates:
    """The templates of a repository with these files; an invalid file does not affect the others."""
    by_name, repository_names, invalid_files = dict(built_in_templates()), set[str](), dict[str, str]()
    for file in files:
        parsed = _parse_file(file)
        if isinstance(parsed, str):
            invalid_files[file.path] = parsed
            by_name.pop(parse_template_name(file.path), None)  # asking for it shows the reason, not another template
        else:
            by_name[parse_template_name(file.path)] = parsed
            repository_names.add(parse_template_name(file.path))
    return Templates(dict(sorted(by_name.items())), frozenset(repository_names), invalid_files)
