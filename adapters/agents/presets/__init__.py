"""Implements the services that the HTTP adapter knows by name. Each file and the docs say what is unverified."""

from __future__ import annotations

from adapters.agents.presets.cursor import Cursor
from adapters.agents.presets.devin import Devin
from adapters.agents.presets.jules import Jules
from adapters.agents.service import Service

PRESETS: dict[str, Service] = {"cursor": Cursor(), "jules": Jules(), "devin": Devin()}
