"""Foresight reads the mirror as it is, once for each text, and never lets the mirror delay or fail an issue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert

from adapters.database import store
from adapters.database import tables as t
from adapters.database.database import Database
from adapters.database.repositories import RepositoryRow
from adapters.git import Git, MirrorPool
from core.decide.issues import text_digest
from core.forecast.model import Forecast
from core.task.model import Status, Task
from engine.forecasts import ForecastService
from tests.adapters.git_repositories import Files, WorkTree
from tests.builders import NOW, Story, body, issue

ROW = RepositoryRow(42, 1, "acme/shop", "main", True, None)
CODE: Files = {
    b"shop/cart.py": b"def total(prices):\n    return sum(prices)\n",
    b"shop/tax.py": b"RATE = 0.19\n",
    b"tests/test_cart.py": b"",
}


class Counted(Git):
    """Counts what it is asked."""

    asked = 0

    async def run(self, *arguments: str, **more: object) -> object:  # type: ignore[override]
        self.asked += 1
        return await super().run(*arguments, **more)  # type: ignore[arg-type]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.transaction() as connection:
        values = {"id": 42, "installation_id": 1, "full_name": "acme/shop", "default_branch": "main"}
        await connection.execute(insert(t.repositories).values(values))
    yield database
    await database.close()


@pytest.fixture
def github(tmp_path: Path) -> WorkTree:
    work = WorkTree(tmp_path / "acme" / "shop.git")
    work.commit(CODE, "Begin")
    return work


def _weights(found: Forecast | None) -> dict[str, float]:
    assert found is not None
    return {file.path: file.weight for file in found.files}


async def _keep(database: Database, *tasks: Task) -> None:
    async with database.transaction() as connection:
        for task in tasks:
            await store.save_task(connection, task, NOW)


async def test_the_mirror_is_read_as_it_is_and_each_text_once(
    database: Database, github: WorkTree, tmp_path: Path
) -> None:
    git = Counted(allow_file_protocol=True)
    mirrors = MirrorPool(tmp_path / "data", f"file://{tmp_path}", git)
    foresight = ForecastService(database, mirrors)
    facts = issue(1, title="Round the total", text=body("`total()` loses cents.", files="shop/tax.py"))

    without = await foresight.predict(ROW, facts)
    assert (git.asked, await foresight.head_sha(ROW)) == (0, None)
    assert without is not None
    assert _weights(without) == {"shop/tax.py": 0.9}
    assert not without.files_known
    task = replace(Story().file_ready_task().task, number=1, repository_id=42, forecast=without)
    await _keep(database, task)
    assert await foresight.predict(ROW, facts) is None, "there is nothing new to say"

    await mirrors.get(ROW.id, ROW.full_name).fetch(["refs/heads/main"])
    await foresight.refresh(ROW)
    git.asked = 0
    found = await foresight.predict(ROW, facts)
    assert found is not None
    assert (found.files_known, found.text_digest) == (True, text_digest(facts.title, facts.body))
    assert _weights(found)["shop/cart.py"] > 0.6
    assert git.asked == 1, "where `total` is"
    await _keep(database, replace(task, forecast=found))
    assert await foresight.predict(ROW, facts) is None
    assert git.asked == 1

    github.commit({b"shop/refunds.py": b"def total(): ...\n"}, "Refunds")
    await mirrors.get(ROW.id, ROW.full_name).fetch(["refs/heads/main"])
    later = await foresight.predict(ROW, issue(1, title="Fix the refunds", text=body("Fix them.")))
    assert "shop/refunds.py" in _weights(later)


async def test_tasks_that_are_done_teach(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story().file_ready_task().reach_review()
    story.report_trial_merge(changed_files=("shop/cart.py", "docs/cart.md"))
    story.merge_pull()
    known = replace(story.task, repository_id=42, status=Status.DONE)
    done = [replace(known, number=n, title=f"Vouchers in the basket, part {n}") for n in (1, 2)]
    mail = replace(story.pull, files=("mail.py",), number=8)
    others = [replace(known, number=n, title=f"Mail number {n}", pull=mail) for n in (3, 4, 5, 6)]
    others.append(replace(known, number=7, title="Vouchers in the basket, and how", pull=None))
    foresight = ForecastService(database, MirrorPool(tmp_path, "file:///nowhere", Git()))
    await _keep(database, *others)
    new = issue(9, title="Vouchers in the basket, at last", text=body("As before."))
    assert _weights(await foresight.predict(ROW, new)) == {}
    await _keep(database, *done)
    monkeypatch.setattr("engine.forecasts.REFRESH_SECONDS", 0)
    found = await foresight.predict(ROW, new)
    assert _weights(found).keys() == {"shop/cart.py", "docs/cart.md"}
    assert found is not None
    assert found.files[0].reason == "similar work changed it"


@pytest.mark.parametrize("how", ["broken", "slow", "empty"])
async def test_a_mirror_that_fails_fails_no_issue(
    database: Database, github: WorkTree, tmp_path: Path, how: str
) -> None:
    mirrors = MirrorPool(tmp_path / "data", f"file://{tmp_path}", Git(allow_file_protocol=True))
    mirror = mirrors.get(ROW.id, ROW.full_name)
    if how == "slow":
        await mirror.fetch(["refs/heads/main"])
    else:
        mirror.path.mkdir(parents=True)
    if how == "broken":
        (mirror.path / "HEAD").write_text("nonsense")
    foresight = ForecastService(database, mirrors, seconds=0.000001 if how == "slow" else 5)
    found = await foresight.predict(ROW, issue(1, text=body("`total()` loses cents.", files="shop/tax.py")))
    assert _weights(found) == {"shop/tax.py": 0.9}
