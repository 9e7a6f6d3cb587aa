"""Opening other copies of a dataset's data, to see whether they hold what is registered, before one is recommended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, close_all, real_engine
from pytest_mdm_health.checks.data_corruption.facts import DataFacts
from pytest_mdm_health.mdm.backups.archive import read_archive
from pytest_mdm_health.mdm.backups.archive.restoring import Restored
from pytest_mdm_health.mdm.backups.search import SavedData
from pytest_mdm_health.mdm.inventory import Dataset


@contextmanager
def opened_copy(saved: SavedData, engine: str, within_s: float) -> Iterator[Backend | str]:
    """The data in a backup, unpacked into a private folder if it has to be; or why it could not be looked at."""
    if not saved.form:
        yield Backend(engine, Path(saved.member))
        close_all()
        return
    wanted = {saved.member, *saved.beside}
    with Restored(lambda member: member.written in wanted) as restored:
        reading = read_archive(Path(saved.backup), time.monotonic() + within_s, restored)
        files = {name: path for name, path in restored.files.items() if name.endswith(_name_of(saved))}
        if reading.problems or not reading.complete:
            yield next(
                iter((*(each.message for each in reading.problems), *reading.gaps)), "it could not be read to its end"
            )
        elif len(restored.files) < len(wanted) or len(files) != 1:
            yield next(iter(restored.refused.values()), "it could not be unpacked to look into it")
        else:
            yield Backend(engine, next(iter(files.values())))
        close_all()


def holding_tables(dataset: Dataset, facts: DataFacts) -> Iterator[str]:
    """The other databases in the dataset's folder that hold all registered tables, where the file does not."""
    registration = dataset.registration
    wanted = {name.casefold() for name in registration.tables.values()} if registration is not None else set()
    if not wanted or (facts.readable and all(table.present for table in facts.tables)):
        return
    for path in map(Path, facts.others):
        engine = real_engine(path)
        try:
            if engine is not None:
                with Backend(engine, path).open() as database:
                    if wanted <= {name.casefold() for name in database.tables()}:
                        yield str(path)
        except (CannotOpen, QueryFailed):
            continue
    close_all()


def _name_of(saved: SavedData) -> str:
    return saved.member.rpartition("/")[2]
