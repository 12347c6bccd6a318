"""Making the forecast of a task: from its form, from what its text names, and from what similar work changed."""

from core.forecasting.making import Said, Sight, forecast
from core.forecasting.mentions import Mentions, mentions
from core.forecasting.past import Done, Past, words_for
from core.forecasting.score import Judged, Score, judged
from core.forecasting.tree import Tree

__all__ = [
    "Done",
    "Judged",
    "Mentions",
    "Past",
    "Said",
    "Score",
    "Sight",
    "Tree",
    "forecast",
    "judged",
    "mentions",
    "words_for",
]
