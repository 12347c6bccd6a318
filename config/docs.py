"""Makes `docs/configuration.md` and the JSON Schema from the models: `python -m config.docs --write`."""

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
from config.labels import DIGEST, FIXED_LABELS, OFFERED_LABELS
from config.repository import CONFIG_PATH, RepositoryConfig
from config.settings import Settings

ROOT: Final = Path(__file__).resolve().parent.parent
EXAMPLE: Final = Path(__file__).with_name("orchestrator.example.yml")

_INTRO: Final = """\
<!-- Made from the models in config/ by `make docs`; change it there. -->
# Configuration

The service has a few settings of its own; everything about a team's work is in its repository.
[Running it](running.md) explains how to start.

## Settings of the service

Environment variables, or lines `NAME=value` of a file `.env` in the working directory; the environment
takes precedence. An empty variable counts as absent. A missing or invalid setting stops the start with a line that
names it.
"""

_REPOSITORY: Final = """\
## The repository: `{path}`

The bot reads the file on the default branch or, if there is none, the file in the organisation's `.github`
repository. **Without a file the bot only observes.** An unknown key, a duplicate name or an invalid value is an error.
A pull request that edits the file gets the check `orchestrator-config`, with each error on its line and the nearest
valid word beside it. If an error still reaches the default branch, the last valid configuration stays in force; task
cards say so, and `/status` lists the errors. If there is no valid configuration yet, the answer to any command lists
them. Only `version` and `agents` are required.

A duration is a number with its unit, `90s`, `10m`, `2h`, `1d`, or several, `1h30m`. A name (of an agent or a
capability) is 1 to 44 of `a-z 0-9 + # . _ -` and begins with a letter or digit.

Editors that support JSON Schema check the file as you type. Name the schema in its first line, by the address of
[`config/orchestrator.schema.json`](../config/orchestrator.schema.json) in the copy of this project that you run, or
by a path to a copy of it:

```yaml
# yaml-language-server: $schema=./orchestrator.schema.json
version: 1
agents:
  codex: {{adapter: actions, workflow: agent.yml}}
```

(That is how the YAML language server reads it, which Visual Studio Code with its YAML extension, Neovim, Emacs and
others use; JetBrains' editors ask for schema and file in *Languages & Frameworks, JSON Schema Mappings*.)

### A complete example

```yaml
{example}```
"""


class _Schema(GenerateJsonSchema):
    """Pydantic's schema, with durations as people write them."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `.github/orchestrator.yml`."""
    made = RepositoryConfig.model_json_schema(schema_generator=_Schema)
    made["properties"]["agents"]["additionalProperties"] = False  # a name outside the pattern is no agent
    return {"$schema": _Schema.schema_dialect, **made}


def configuration_page() -> str:
    """The whole of `docs/configuration.md`."""
    parts = [_INTRO, _table(_settings()), ""]
    parts.append(_REPOSITORY.format(path=CONFIG_PATH, example=EXAMPLE.read_text(encoding="utf-8")))
    described = schema()
    top = described["properties"]
    parts += ["### Every key", "", _table(_keys(described, top, described["required"])), ""]
    common = set(AgentBase.model_fields)
    agent = described["$defs"]["PullAgent"]["properties"]
    shared = {name: agent[name] for name in AgentBase.model_fields}
    kinds = ", ".join(f"`{kind}`" for kind in AGENT_KINDS)
    parts += ["### `agents.<name>`", "", f"Every agent has an `adapter` ({kinds}) and may have:", ""]
    parts += [_table(_keys(described, shared, [])), ""]
    for kind, model in AGENT_KINDS.items():
        own = described["$defs"][model.__name__]
        keys = {name: field for name, field in own["properties"].items() if name not in {*common, "adapter"}}
        parts += [f"#### `adapter: {kind}`", "", own["properties"]["adapter"]["description"], ""]
        parts += [_table(_keys(described, keys, own["required"])), ""] if keys else []
    for name, field in top.items():
        if "$ref" in field:
            section = _resolve(described, field)
            parts += [f"### `{name}`", "", section["description"], ""]
            parts += [_table(_keys(described, section["properties"], [])), ""]
            parts += _inner_sections(described, name, section)
    parts += [
        "## Labels",
        "",
        "With the first configuration the bot creates, in one request, the labels that people add by hand:  "
        + ", ".join(f"`{label.name}`" for label in OFFERED_LABELS)
        + " and `needs:<capability>` of every agent. It creates any other when an issue is first about to carry it,",
        "and creates a deleted or renamed one again when it is next needed. A label's colour and description are yours",
        "to change: the bot sets them once, when it creates the label.",
        "",
        _table(_labels()),
        "",
    ]
    return "\n".join(parts)


def _inner_sections(root: dict[str, Any], above: str, section: dict[str, Any]) -> list[str]:
    """The sections inside a section, each with its table."""
    parts: list[str] = []
    for name, field in section["properties"].items():
        found = next((option for option in field.get("anyOf", []) if "$ref" in option), None)
        if found:
            inner = _resolve(root, found)
            parts += [f"#### `{name}`", "", f"{inner['description']} In `{above}`.", ""]
            parts += [_table(_keys(root, inner["properties"], inner.get("required", []))), ""]
    return parts


def files() -> dict[Path, str]:
    """Every generated file with the text that it should have."""
    return {
        ROOT / "config" / "orchestrator.schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        ROOT / "docs" / "configuration.md": configuration_page(),
    }


def _settings() -> Iterator[tuple[str, ...]]:
    yield "variable", "meaning", "default"
    for name, field in Settings.model_fields.items():
        yield f"`{name.upper()}`", field.description or "", _setting_default(field)


def _setting_default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "default_text" in extra:
        return str(extra["default_text"])
    if field.default is PydanticUndefined:
        return "**needed**"
    return "" if field.default is None else f"`{field.default}`"


def _keys(root: dict[str, Any], properties: dict[str, Any], required: list[str]) -> Iterator[tuple[str, ...]]:
    yield "key", "type", "default", "meaning"
    for name, field in properties.items():
        meaning = (_resolve(root, field) if "$ref" in field else field)["description"]
        yield f"`{name}`", _type(root, name, field), _default(name, field, required), meaning


def _default(name: str, field: dict[str, Any], required: list[str]) -> str:
    if name in required:
        return "**needed**"
    value = field.get("default")
    if "$ref" in field or value is None or value == []:
        return ""
    return f"`{', '.join(value) if isinstance(value, list) else json.dumps(value).strip(chr(34))}`"


def _type(root: dict[str, Any], name: str, field: dict[str, Any]) -> str:
    """A schema's type in a few words."""
    if "anyOf" in field:
        return _type(root, name, next(option for option in field["anyOf"] if option.get("type") != "null"))
    if "$ref" in field:
        return f"[section](#{name})"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        return f"list of {_type(root, name, field['items'])}"
    if field["type"] == "object":
        kinds = {"agents": "[agents](#agentsname) by name", "stalls": "`P0`, `P1` or `P2`: duration"}
        return kinds.get(name, "label: `P0`, `P1` or `P2`")
    if field.get("format") == "short-duration":
        return "duration"
    words = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`", "string": "text"}
    if "minimum" in field:
        return f"{words[field['type']]}, {field['minimum']} to {field['maximum']}"
    return words[field["type"]]


def _labels() -> Iterator[tuple[str, ...]]:
    yield "label", "meaning"
    for label in (*FIXED_LABELS, DIGEST):
        yield f"`{label.name}`", label.description


def _resolve(root: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = root["$defs"][field["$ref"].rsplit("/", 1)[-1]]
    return found


def _table(rows: Iterator[tuple[str, ...]]) -> str:
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *body])


def main(arguments: list[str] | None = None) -> int:
    """Write the generated files, or with `--check` only tell which are stale (exit status 1)."""
    parser = argparse.ArgumentParser(prog="python -m config.docs", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true", help="write the generated files")
    what.add_argument("--check", action="store_true", help="exit with 1 when one of them is stale")
    write = parser.parse_args(arguments).write
    stale = 0
    for path, text in files().items():
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
