"""Services that the HTTP adapter knows by name. What is second-hand about each is said in its file and in the docs."""

from __future__ import annotations

from adapters.agents.presets.cursor import Cursor
from adapters.agents.presets.devin import Devin
from adapters.agents.presets.jules import Jules
from adapters.agents.service import Service

PRESETS: dict[str, Service] = {"cursor": Cursor(), "jules": Jules(), "devin": Devin()}
