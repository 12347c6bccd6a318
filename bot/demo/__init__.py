"""The demo: a GitHub sandbox, our bot and a scripted team on this machine, for about half a minute.

`story.py` says what happens, `stage.py` puts sandbox and bot together, `people.py` is the maintainer, `watch.py` reads
how things stand, `view.py` and `words.py` show it, `summary.py` measures and checks the outcome, `run.py` runs it all.
`shop/start` is the repository as it is at the beginning, `shop/work/<name>` what an agent does for a task.
"""
