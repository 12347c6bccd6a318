"""Runs the demo: a GitHub sandbox, the bot and a scripted team on this machine, for about half a minute.

`scenario.py` says what happens, `environment.py` connects sandbox and bot, `people.py` is the maintainer, `monitor.py`
reads the state, `view.py` and `narration.py` show it, `summary.py` measures and checks the result, `run.py` runs it
all. `shop/start` is the repository at the beginning, `shop/work/<name>` the work of an agent on a task.
"""
