"""Reads a repository's own task templates from its default branch, only the changed ones."""

from __future__ import annotations

from collections.abc import Iterable

from adapters.github import GitHub
from adapters.github.errors import Invalid, TooLarge
from config.task_templates import MAX_REPOSITORY_TEMPLATES, TEMPLATES_FOLDER, TemplateFile


async def read_templates(
    github: GitHub, full_name: str, existing_files: Iterable[TemplateFile]
) -> tuple[TemplateFile, ...]:
    """The files of the folder, by name. One that cannot be read says so itself and stops no other."""
    try:
        entries = await github.list_folder(full_name, TEMPLATES_FOLDER)
    except Invalid:
        return ()  # a file of that name: no folder, no templates
    existing_by_path = {file.path: file for file in existing_files}
    templates: list[TemplateFile] = []
    for entry in sorted(entries, key=lambda entry: entry.path):
        if entry.type != "file" or not entry.path.endswith((".yml", ".yaml")):
            continue
        if len(templates) == MAX_REPOSITORY_TEMPLATES:
            problem = (
                f"there are more than {MAX_REPOSITORY_TEMPLATES} templates; the bot ignores this one and all after it"
            )
            return (*templates, TemplateFile(entry.path, entry.sha, problem=problem))
        existing = existing_by_path.get(entry.path)
        templates.append(
            existing
            if existing and existing.sha == entry.sha
            else await _read_template(github, full_name, entry.path, entry.sha)
        )
    return tuple(templates)


async def _read_template(github: GitHub, full_name: str, path: str, sha: str) -> TemplateFile:
    try:
        raw = await github.get_content(full_name, path)
        # Postgres keeps no NUL, and YAML has none.
        return TemplateFile(path, sha, (raw or b"").decode("utf-8").replace("\x00", "\ufffd"))
    except (UnicodeDecodeError, Invalid, TooLarge) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        return TemplateFile(path, sha, problem=f"the file cannot be read: {reason}")
