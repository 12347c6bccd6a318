"""Texts that call people."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.escalation import Escalation
from core.texts.rendering import render


def escalation(call: Escalation) -> str:
    """Calls those of the present level: what happened, what was tried, what can be done."""
    return render("escalation", call=call, to=call.latest, again=call.calls > 1)


def reminder(call: Escalation, now: datetime) -> str:
    """Tells whoever saw to it that it is still not mended."""
    return render("reminder", call=call, waited=now - call.acknowledged_at if call.acknowledged_at else timedelta())
