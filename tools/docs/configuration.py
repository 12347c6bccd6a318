"""Makes `docs/configuration.md` and the JSON Schema from the models: `python -m tools.docs.configuration --write`."""

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticUndefined

from config.agent_kinds import AGENT_KINDS, AgentBase
from config.durations import format_duration
from config.labels import DIGEST, FIXED_LABELS, INITIAL_LABELS
from config.repository import CONFIG_PATH, RepositoryConfig
from config.settings import Settings

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLE: Final = ROOT / "config" / "orchestrator.example.yml"

_INTRO: Final = """\
<!-- Made from the models in config/ by `make docs`; change it there. -->
# Configuration

The service has a few settings; everything about a team's work is in its repository. [Installation](running.md) explains
the first steps.

## Settings of the service

Set environment variables, or lines `NAME=value` in a file `.env` in the working directory; the environment wins. An
empty value counts as absent. A missing or invalid setting stops the start with a line that names it.
"""

_REPOSITORY_SECTION: Final = """\
## The repository: `{path}`

The file on the default branch counts. If the repository has none, the bot uses the one in the organization's
`.github` repository. **Without a file the bot only observes.** Unknown keys, duplicate names and invalid values are
errors. A pull request that edits the file gets the check `orchestrator-config`, which shows each error on its line
with the nearest valid word. If an error reaches the default branch, the last valid configuration stays in force; task
cards say so, and `/status` lists the errors. If there is no valid one yet, the answer to any command lists them. Only
`version` and `agents` are required.

A duration is a number with a unit, `90s`, `10m`, `2h`, `1d`, or several, `1h30m`. A name (of an agent or a
capability) has 1 to 44 of the characters `a-z 0-9 + # . _ -` and starts with a letter or digit.

Editors that support JSON Schema check the file as you type. Put the schema into the first line: the address or path of
your copy of [`config/orchestrator.schema.json`](../config/orchestrator.schema.json).

```yaml
# yaml-language-server: $schema=./orchestrator.schema.json
version: 1
agents:
  codex: {{adapter: actions, workflow: agent.yml}}
```

The YAML language server reads this line (Visual Studio Code with its YAML extension, Neovim, Emacs). In JetBrains
editors, set schema and file in *Languages & Frameworks, JSON Schema Mappings*.

### A complete example

```yaml
{example}```
"""


class _SchemaGenerator(GenerateJsonSchema):
    """Pydantic's schema, with durations as people write them."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `.github/orchestrator.yml`."""
    result = RepositoryConfig.model_json_schema(schema_generator=_SchemaGenerator)
    result["properties"]["agents"]["additionalProperties"] = False  # a name outside the pattern is no agent
    return {"$schema": _SchemaGenerator.schema_dialect, **result}


def configuration_page() -> str:
    """The whole of `docs/configuration.md`."""
    parts = [_INTRO, _table(_setting_rows()), ""]
    parts.append(_REPOSITORY_SECTION.format(path=CONFIG_PATH, example=EXAMPLE.read_text(encoding="utf-8")))
    root_schema = json_schema()
    properties = root_schema["properties"]
    parts += ["### Every key", "", _table(_key_rows(root_schema, properties, root_schema["required"])), ""]
    common = set(AgentBase.model_fields)
    agent = root_schema["$defs"]["PullAgent"]["properties"]
    shared = {name: agent[name] for name in AgentBase.model_fields}
    kinds = ", ".join(f"`{kind}`" for kind in AGENT_KINDS)
    parts += ["### `agents.<name>`", "", f"Every agent has an `adapter` ({kinds}). Optional keys:", ""]
    parts += [_table(_key_rows(root_schema, shared, [])), ""]
    for kind, model in AGENT_KINDS.items():
        agent_schema = root_schema["$defs"][model.__name__]
        keys = {name: field for name, field in agent_schema["properties"].items() if name not in {*common, "adapter"}}
        parts += [f"#### `adapter: {kind}`", "", agent_schema["properties"]["adapter"]["description"], ""]
        parts += [_table(_key_rows(root_schema, keys, agent_schema["required"])), ""] if keys else []
    for name, field in properties.items():
        if "$ref" in field:
            section = _resolve(root_schema, field)
            parts += [f"### `{name}`", "", section["description"], ""]
            parts += [_table(_key_rows(root_schema, section["properties"], [])), ""]
            parts += _inner_sections(root_schema, name, section)
    parts += [
        "## Labels",
        "",
        "With the first configuration the bot creates, in one request, the labels that people add by hand: "
        + ", ".join(f"`{label.name}`" for label in INITIAL_LABELS)
        + " and `needs:<capability>` of every agent. It creates other labels when an issue first needs them,",
        "and creates a deleted or renamed label again when it is needed. You may change a label's color and",
        "description, because the bot sets them only when it creates the label.",
        "",
        _table(_label_rows()),
        "",
    ]
    return "\n".join(parts)


def _inner_sections(root: dict[str, Any], parent_name: str, section: dict[str, Any]) -> list[str]:
    """The sections inside a section, each with its table."""
    parts: list[str] = []
    for name, field in section["properties"].items():
        reference = next((option for option in field.get("anyOf", []) if "$ref" in option), None)
        if reference:
            inner_section = _resolve(root, reference)
            parts += [f"#### `{name}`", "", f"{inner_section['description']} In `{parent_name}`.", ""]
            parts += [_table(_key_rows(root, inner_section["properties"], inner_section.get("required", []))), ""]
    return parts


def generated_files() -> dict[Path, str]:
    """Every generated file with the text that it should have."""
    return {
        ROOT / "config" / "orchestrator.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
        ROOT / "docs" / "configuration.md": configuration_page(),
    }


def _setting_rows() -> Iterator[tuple[str, ...]]:
    yield "variable", "meaning", "default"
    for name, field in Settings.model_fields.items():
        yield f"`{name.upper()}`", field.description or "", _setting_default(field)


def _setting_default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "default_text" in extra:
        return str(extra["default_text"])
    if field.default is PydanticUndefined:
        return "**required**"
    return "" if field.default is None else f"`{field.default}`"


def _key_rows(root: dict[str, Any], properties: dict[str, Any], required_keys: list[str]) -> Iterator[tuple[str, ...]]:
    yield "key", "type", "default", "meaning"
    for name, field in properties.items():
        meaning = (_resolve(root, field) if "$ref" in field else field)["description"]
        yield f"`{name}`", _type_text(root, name, field), _default_text(name, field, required_keys), meaning


def _default_text(name: str, field: dict[str, Any], required_keys: list[str]) -> str:
    if name in required_keys:
        return "**required**"
    value = field.get("default")
    if "$ref" in field or value is None or value == []:
        return ""
    return f"`{', '.join(value) if isinstance(value, list) else json.dumps(value).strip(chr(34))}`"


def _type_text(root: dict[str, Any], name: str, field: dict[str, Any]) -> str:
    """A schema's type in a few words."""
    if "anyOf" in field:
        return _type_text(root, name, next(option for option in field["anyOf"] if option.get("type") != "null"))
    if "$ref" in field:
        return f"[section](#{name})"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        return f"list of {_type_text(root, name, field['items'])}"
    if field["type"] == "object":
        kinds = {"agents": "[agents](#agentsname) by name", "stalls": "`P0`, `P1` or `P2`: duration"}
        return kinds.get(name, "label: `P0`, `P1` or `P2`")
    if field.get("format") == "short-duration":
        return "duration"
    words = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`", "string": "text"}
    if "minimum" in field:
        return f"{words[field['type']]}, {field['minimum']} to {field['maximum']}"
    return words[field["type"]]


def _label_rows() -> Iterator[tuple[str, ...]]:
    yield "label", "meaning"
    for label in (*FIXED_LABELS, DIGEST):
        yield f"`{label.name}`", label.description


def _resolve(root: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    definition: dict[str, Any] = root["$defs"][field["$ref"].rsplit("/", 1)[-1]]
    return definition


def _table(rows: Iterator[tuple[str, ...]]) -> str:
    header, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *body])


def main(arguments: list[str] | None = None) -> int:
    """Write the generated files, or with `--check` only tell which are stale (exit status 1)."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs.configuration", description=__doc__)
    mode_group = parser.add_mutually_exclusive_group(required=True)
    mode_group.add_argument("--write", action="store_true", help="write the generated files")
    mode_group.add_argument("--check", action="store_true", help="exit with 1 when one of them is stale")
    write = parser.parse_args(arguments).write
    stale = 0
    for path, text in generated_files().items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale = 1
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        verb = "written" if write else "is stale; run `make docs`"
        sys.stderr.write(f"{path.relative_to(ROOT)} {verb}\n")
    return 0 if write else stale


if __name__ == "__main__":
    sys.exit(main())
