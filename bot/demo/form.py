"""Fills in an issue form and renders the body as GitHub does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

NO_ANSWER = "_No response_"


class FormError(ValueError):
    """The form, or an answer to it, cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class IssueForm:
    """An issue form as it is filled in by a person: the labels that it sets, and its fields."""

    labels: tuple[str, ...]
    fields: tuple[Mapping[str, Any], ...]

    @classmethod
    def parse(cls, text: str) -> IssueForm:
        """Read a form of `.github/ISSUE_TEMPLATE/`. Raises `FormError` for a kind of field that is not known here."""
        form = yaml.safe_load(text)
        fields = tuple(field for field in form["body"] if field["type"] != "markdown")
        for field in fields:
            if field["type"] not in ("input", "textarea", "dropdown"):
                raise FormError(f"the form's field {field.get('id')} is of the kind {field['type']}")
        return cls(tuple(form.get("labels", ())), fields)

    def render(self, answers: Mapping[str, str]) -> str:
        """The body of the issue, from answers by the id of the field; what is not answered keeps its default.

        Raises `FormError` for an answer to no field, and for one that a dropdown does not offer.
        """
        unknown = sorted(answers.keys() - {field["id"] for field in self.fields})
        if unknown:
            raise FormError(f"the form has no field {', '.join(unknown)}")
        return (
            "\n\n".join(
                f"### {form_field['attributes']['label']}\n\n{_answer(form_field, answers)}"
                for form_field in self.fields
            )
            + "\n"
        )


def _answer(field: Mapping[str, Any], answers: Mapping[str, str]) -> str:
    attributes = field["attributes"]
    options = [str(option) for option in attributes.get("options", ())]
    if options:
        choice = answers.get(field["id"], options[attributes["default"]] if "default" in attributes else NO_ANSWER)
        if choice not in (*options, NO_ANSWER):
            raise FormError(f"{field['id']} offers {', '.join(options)}, not {choice}")
        return choice
    return answers.get(field["id"], attributes.get("value", "")).strip() or NO_ANSWER
