"""Damaged, incomplete and altered data is found; sound data is not accused."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
import yaml

from pytest_mdm_health.backends import backend_of
from pytest_mdm_health.backends.sqlite.log import is_of_another_file
from pytest_mdm_health.checks.data_corruption import judge
from pytest_mdm_health.checks.data_corruption.collect import collect
from pytest_mdm_health.core.expected import Expected, ExpectedDataset
from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.inventory import take_inventory
from tests.helpers import crossed, follow, repair, run_health
from tests.postgres import PASSWORD, USER, MakePostgresHome, Server, register

CHECK = "data-corruption"
FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
Examine = Callable[..., Result]
Hold = Callable[[str], "subprocess.Popen[bytes]"]
Tree = Callable[[Path], dict[str, tuple[int, int, int, int, str]]]
Change = Callable[[Path], object]
MakeHome = Callable[..., Path]


@pytest.fixture
def look(examine: Examine) -> Examine:
    """The check on one dataset, whatever is wrong with its registration."""

    def run(home: Path, dataset: str = "shop", **options: object) -> Result:
        return examine(CHECK, home, dataset, ignore=("metadata-corruption",), **options)

    return run


def data(home: Path, dataset: str = "shop") -> Path:
    (path,) = (each for each in (home / "datasets" / dataset).iterdir() if each.suffix in {".sqlite", ".duckdb"})
    return path


def run_sql(home: Path, *statements: str, dataset: str = "shop") -> None:
    path = data(home, dataset)
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path)) as engine:
            for statement in statements:
                engine.execute(statement)
        return
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def sql(*statements: str, dataset: str = "shop") -> Change:
    return lambda home: run_sql(home, *statements, dataset=dataset)


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def append(home: Path) -> None:
    with data(home).open("ab") as file:
        file.write(b"g" * 1000)


def make_fifo(home: Path) -> None:
    path = data(home)
    path.unlink()
    os.mkfifo(path)


def flip(path: Path, at: int) -> None:
    overwrite(path, at, bytes([path.read_bytes()[at] ^ 1]))


def unregister(home: Path) -> None:
    (home / "config/datasets/shop.yaml").unlink()
    (home / "datasets/shop/dataset_info.json").unlink()


def put_another_beside(home: Path) -> None:
    shutil.copy2(data(home, "wine"), data(home).with_name("old.db"))


def findings(result: Result) -> dict[str, Finding]:
    return {finding.code: finding for finding in result.findings}


DAMAGE: dict[str, tuple[str, Severity, Change]] = {
    "no file": ("data-corruption.missing-file", FAIL, lambda home: data(home).unlink()),
    "a FIFO": ("data-corruption.not-a-file", FAIL, make_fifo),
    "no content": ("data-corruption.empty-file", FAIL, lambda home: data(home).write_bytes(b"")),
    "text": ("data-corruption.wrong-format", FAIL, lambda home: data(home).write_bytes(b"id,name\n" * 3000)),
    "half of it": ("data-corruption.truncated", FAIL, lambda home: os.truncate(data(home), 300_000)),
    "all but a byte": (
        "data-corruption.truncated",
        FAIL,
        lambda home: os.truncate(data(home), data(home).stat().st_size - 1),
    ),
    "garbage at the end": ("data-corruption.surplus", WARN, append),
    "a dropped table": ("data-corruption.missing-table", FAIL, sql("DROP TABLE test")),
    "an emptied table": ("data-corruption.empty-table", FAIL, sql("DELETE FROM train")),
    "a lost row": ("data-corruption.row-count", FAIL, sql("DELETE FROM train WHERE id = 5")),
    "a doubled row": ("data-corruption.row-count", WARN, sql("INSERT INTO train SELECT * FROM train WHERE id = 5")),
    "no registration": ("data-corruption.orphan-data", NOTE, unregister),
    "another database": ("data-corruption.extra-file", NOTE, put_another_beside),
    "another table": ("data-corruption.unregistered-table", NOTE, sql("CREATE TABLE left_over (a INTEGER)")),
}


ENGINES = ("sqlite", "duckdb")


@pytest.fixture(params=ENGINES)
def each_engine(request: pytest.FixtureRequest, make_home: MakeHome) -> Path:
    return make_home(f"mdm-1.0.6-{request.param}")


@pytest.mark.parametrize("depth", ["quick", "standard", "full"])
def test_healthy_data_is_examined_and_not_accused(each_home: Path, look: Examine, depth: str, tree: Tree) -> None:
    before = tree(each_home)
    for dataset in ("big", "breast_cancer", "shop", "wine"):
        result = look(each_home, dataset, depth=depth)
        assert (result.status, result.findings, result.reason) == (Status.PASS, (), "")
        assert result.examined >= 2
    assert tree(each_home) == before


@pytest.mark.parametrize(("each_engine", "name"), crossed(ENGINES, [*DAMAGE]), indirect=["each_engine"])
def test_damaged_data_is_found_and_restored_data_is_repaired(
    each_engine: Path, look: Examine, name: str, copy_tree: Callable[[Path, Path], Path], tree: Tree
) -> None:
    code, severity, change = DAMAGE[name]
    backup = copy_tree(each_engine, each_engine.with_name("backup"))
    change(each_engine)
    before = tree(each_engine)
    result = look(each_engine)
    assert findings(result)[code].severity is severity
    assert tree(each_engine) == before
    assert all(str(each_engine) in command for finding in result.findings for command in finding.remedy.commands)
    shutil.rmtree(each_engine)
    copy_tree(backup, each_engine)
    assert look(each_engine).findings == ()


@pytest.mark.parametrize(("each_engine", "name"), crossed(ENGINES, [*DAMAGE]), indirect=["each_engine"])
def test_one_damage_is_one_finding(each_engine: Path, look: Examine, name: str) -> None:
    code, _, change = DAMAGE[name]
    change(each_engine)
    assert set(findings(look(each_engine))) == {code}


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DROP TABLE test_features", "missing-table"),
        ("DELETE FROM train_features WHERE id = 5", "row-count"),
        ("INSERT INTO train_features SELECT * FROM train_features WHERE id = 5", "row-count"),
    ],
)
def test_feature_tables_are_reported_only_by_the_feature_check(
    each_engine: Path, look: Examine, examine: Examine, statement: str, code: str
) -> None:
    features = "feature-generation-failure"
    kept = {"save_baseline": each_engine.parent / "saved.json"}
    before, features_before = look(each_engine, **kept), examine(features, each_engine, "shop", **kept)
    sql(statement)(each_engine)
    assert look(each_engine, before=before).findings == ()
    found = examine(features, each_engine, "shop", before=features_before).findings
    known = f"{features}.logged-error"  # the real data has it anyway
    assert [each.code for each in found if each.severity is not NOTE and each.code != known] == [f"{features}.{code}"]


def test_data_corruption_damaged_pages_are_found_in_sqlite(home: Path, look: Examine) -> None:
    overwrite(data(home), 4096 * 30, b"\x5a" * 4096)
    result = look(home)
    finding = findings(result)["data-corruption.damaged"]
    assert finding.severity is FAIL
    assert finding.evidence["problems"]
    assert len(finding.message) < 1000


def test_a_flipped_bit_in_duckdb_is_found_when_every_row_is_read(make_home: MakeHome, look: Examine) -> None:
    home = make_home("mdm-1.0.6-duckdb")
    flip(data(home), 12288 + 262144 + 5000)
    assert look(home, depth="standard").status is Status.PASS
    result = look(home, depth="full")
    assert set(findings(result)) == {"data-corruption.damaged"}
    assert "checksum" in result.findings[0].message


def test_a_damaged_schema_is_damage(home: Path, look: Examine) -> None:
    overwrite(data(home), 100, b"\xff" * 3000)
    assert findings(look(home))["data-corruption.damaged"].severity is FAIL


def test_what_recovering_gets_out_takes_the_place_of_nothing(home: Path, look: Examine) -> None:
    overwrite(data(home), 4096 * 30, b"\x5a" * 4096)
    remedy = findings(look(home))["data-corruption.damaged"].remedy
    content = data(home).read_bytes()
    (command,) = remedy.commands
    assert repair(*shlex.split(command)[1:]) == 1, "rows are lost"
    assert data(home).read_bytes() == content
    (rescued,) = home.parent.glob("mdm-health-saved-*/1/rescued/shop.sqlite")
    with closing(sqlite3.connect(rescued)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM test").fetchone() > (0,)
    assert "by ranges of `rowid`" in remedy.text
    assert "count and compare its rows before they are used" in remedy.text


RESTORED = ("no file", "a FIFO", "no content", "text", "half of it", "a lost row")
SAVING = {
    "from inside": "tar -C {home} --exclude=./backup -czf {home}/backup/mdm_backup_1.tar.gz .",
    "from outside": "tar -C {home}/.. --exclude=backup -czf {home}/backup/mdm_backup_1.tar.gz {name}",
    "plain tar": "tar -C {home} -cf {home}/backup/mine.tar datasets config",
    "zip": "cd {home} && zip -qr backup/mine.zip datasets config",
    "folder": "mkdir {home}/backup/old && cp -rp {home}/datasets {home}/config {home}/backup/old/",
}


def type_commands(finding: Finding) -> None:
    if finding.remedy.commands:
        follow(finding)


def save(home: Path, how: str) -> None:
    (home / "backup").mkdir()
    command = SAVING[how].format(home=shlex.quote(str(home)), name=shlex.quote(home.name))
    subprocess.run(command, shell=True, check=True)  # noqa: S602 - as a person would


@pytest.mark.parametrize(("each_engine", "name"), crossed(ENGINES, RESTORED), indirect=["each_engine"])
def test_what_is_printed_restores_the_data_from_a_backup(each_engine: Path, look: Examine, name: str) -> None:
    code, _, change = DAMAGE[name]
    original = data(each_engine).read_bytes()
    path = data(each_engine)
    save(each_engine, "from inside")
    change(each_engine)
    finding = findings(look(each_engine))[code]
    assert "mdm_backup_1.tar.gz" in finding.remedy.text
    type_commands(finding)
    assert path.read_bytes() == original
    assert look(each_engine).findings == ()


@pytest.mark.parametrize("how", [how for how in SAVING if how != "zip" or shutil.which("zip")])
def test_what_is_printed_restores_from_every_kind_of_backup(make_home: MakeHome, look: Examine, how: str) -> None:
    home = make_home("mdm-1.0.6-sqlite", "my 'home'")
    path = data(home)
    original = path.read_bytes()
    save(home, how)
    os.truncate(path, 300_000)
    type_commands(findings(look(home))["data-corruption.truncated"])
    assert path.read_bytes() == original
    assert look(home).findings == ()


def test_a_folder_in_its_place_is_moved_away_first(home: Path, look: Examine, tmp_path: Path) -> None:
    """The plan does both steps, though the finding is another one after the first."""
    original = data(home).read_bytes()
    path = data(home)
    save(home, "from inside")
    path.unlink()
    path.mkdir()
    (path / "notes.txt").write_text("mine")
    finding = findings(look(home))["data-corruption.not-a-file"]
    assert [each.verb for each in finding.remedy.repairs] == ["set-aside", "put-back"]
    report = tmp_path / "report.json"
    options = ("--mdm-select=data-corruption", "--mdm-dataset=shop", "--mdm-ignore=metadata-corruption")
    run_health(home, tmp_path, *options, f"--mdm-json={report}")
    repair("repair", report, "--home", home, "--only", finding.code, "--apply", *options)
    assert path.read_bytes() == original


def test_the_newest_backup_that_holds_the_data_is_taken(home: Path, look: Examine) -> None:
    save(home, "from inside")
    newer = home / "backup" / "mdm_backup_2.tar.gz"
    subprocess.run(["tar", "-C", str(home), "-czf", str(newer), "config", "datasets/wine"], check=True)
    os.truncate(data(home), 300_000)
    finding = findings(look(home))["data-corruption.truncated"]
    assert "mdm_backup_1.tar.gz" in finding.remedy.commands[-1]


def test_logs_of_the_damaged_file_are_put_aside_with_it(home: Path, look: Examine) -> None:
    path = data(home)
    save(home, "from inside")
    original = path.read_bytes()
    journal = path.with_name(f"{path.name}-journal")
    journal.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
    path.write_bytes(b"id,name\n" * 3000)
    type_commands(findings(look(home))["data-corruption.wrong-format"])
    assert path.read_bytes() == original
    assert not journal.exists()
    (kept,) = home.parent.glob(f"mdm-health-saved-*/1/before/{str(journal)[1:]}")
    assert kept.stat().st_size == 512


@pytest.mark.parametrize("ending", ["damaged", "before", "rescued", "bak"])
def test_a_file_put_aside_is_never_registered_as_the_data(
    home: Path, examine: Examine, look: Examine, ending: str
) -> None:
    path = data(home)
    path.rename(path.with_name(f"{path.name}.{ending}"))
    registration = home / "config/datasets/shop.yaml"
    before = registration.read_text(encoding="utf-8")
    for finding in examine("metadata-corruption", home, "shop").findings:
        assert f".{ending}" not in finding.message
        type_commands(finding)
    assert registration.read_text(encoding="utf-8") == before
    assert "data-corruption.missing-file" in findings(look(home))


def test_without_a_backup_readable_data_stays_where_it_is(home: Path, look: Examine) -> None:
    run_sql(home, "DELETE FROM train WHERE id = (SELECT max(id) FROM train)")
    finding = findings(look(home))["data-corruption.row-count"]
    assert not any(command.startswith("mv ") for command in finding.remedy.commands)
    assert f"No backup in {home}/backup or /backup holds it" in finding.remedy.text
    os.truncate(data(home), 300_000)
    assert "No backup in" in findings(look(home))["data-corruption.truncated"].remedy.text


def test_a_quick_look_looks_for_no_backup(home: Path, look: Examine) -> None:
    save(home, "from inside")
    os.truncate(data(home), 300_000)
    result = look(home, depth="quick")
    assert "mdm_backup_1" not in findings(result)["data-corruption.truncated"].remedy.text


def test_garbage_at_the_end_is_shown_and_a_repaired_file_passes(each_engine: Path, look: Examine, tree: Tree) -> None:
    original = data(each_engine).read_bytes()
    append(each_engine)
    before = tree(each_engine)
    (command,) = look(each_engine).findings[0].remedy.commands
    shown = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True).stdout
    assert shown.split()[1:17] == ["g"] * 16
    assert tree(each_engine) == before
    data(each_engine).write_bytes(original)
    assert look(each_engine).findings == ()


def contents(home: Path) -> dict[str, bytes]:
    return {str(each.relative_to(home)): each.read_bytes() for each in sorted(home.rglob("*")) if each.is_file()}


LOGS = ("", "-wal", ".wal", "-journal", "-shm")


@pytest.mark.parametrize(("each_engine", "log"), crossed(ENGINES, LOGS), indirect=["each_engine"])
def test_restoring_changes_one_file_and_can_be_taken_back(each_engine: Path, look: Examine, log: str) -> None:
    save(each_engine, "from inside")
    path = data(each_engine)
    whole = contents(each_engine)
    path.write_bytes(b"id,name\n" * 3000)
    if log:
        path.with_name(path.name + log).write_bytes(b"from another time")
    before = contents(each_engine)
    follow(findings(look(each_engine))["data-corruption.wrong-format"])
    assert contents(each_engine) == whole
    assert look(each_engine).findings == ()
    (saved,) = each_engine.parent.glob("mdm-health-saved-*")
    assert repair("repair", "--undo", saved) == 0
    assert contents(each_engine) == before


def test_a_backup_damaged_meanwhile_leaves_everything_as_it_is(home: Path, look: Examine) -> None:
    save(home, "from inside")
    os.truncate(data(home), 300_000)
    (command,) = findings(look(home))["data-corruption.truncated"].remedy.repairs
    archive = home / "backup" / "mdm_backup_1.tar.gz"
    os.truncate(archive, archive.stat().st_size // 3)
    before = contents(home)
    assert repair(*shlex.split(command.command)[1:]) == 1
    assert contents(home) == before


@pytest.mark.parametrize(
    "what", ["DROP TABLE test", "DELETE FROM train WHERE id < 9", "ALTER TABLE train DROP COLUMN city"]
)
def test_an_incomplete_backup_is_named_and_not_restored(home: Path, look: Examine, what: str) -> None:
    whole = data(home).read_bytes()
    run_sql(home, what)
    save(home, "from inside")
    data(home).write_bytes(whole)
    os.truncate(data(home), 300_000)
    remedy = findings(look(home))["data-corruption.truncated"].remedy
    assert remedy.commands == ()
    assert "mdm_backup_1.tar.gz holds a copy, but " in remedy.text


@pytest.mark.parametrize("what", ["DROP TABLE test", "DELETE FROM train"])
def test_a_table_that_is_gone_or_empty_is_restored_from_a_backup(each_engine: Path, look: Examine, what: str) -> None:
    save(each_engine, "from inside")
    whole = rows_of(data(each_engine))
    run_sql(each_engine, what)
    (finding,) = look(each_engine).findings
    assert "--table=" in finding.remedy.commands[0]
    follow(finding)
    assert rows_of(data(each_engine)) == whole
    assert look(each_engine).findings == ()


def rows_of(path: Path) -> dict[str, list[str]]:
    """Every table with its rows."""
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as engine:
            names = [name for (name,) in engine.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
            return {name: sorted(map(repr, engine.execute(f'FROM "{name}"').fetchall())) for name in names}
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"'))) for name in names}


def test_a_registration_of_another_datasets_data_is_to_correct(each_engine: Path, look: Examine, tree: Tree) -> None:
    registration = each_engine / "config/datasets/shop.yaml"
    text = registration.read_text(encoding="utf-8")
    own, other = data(each_engine), data(each_engine, "wine")
    save(each_engine, "from inside")
    registration.write_text(text.replace(str(own), str(other)), encoding="utf-8")
    before = tree(each_engine)
    missing = [each for each in look(each_engine).findings if each.code == "data-corruption.missing-table"]
    assert len(missing) == 2
    for each in missing:
        assert f"Leave {other} as it is: it is the data of 'wine'." in each.remedy.text
        assert f"{own} in the dataset's folder holds the registered tables" in each.remedy.text
        assert str(registration) in each.remedy.text
        type_commands(each)
    assert tree(each_engine) == before
    registration.write_text(text, encoding="utf-8")
    assert look(each_engine).findings == ()


def test_data_outside_the_datasets_folder_is_never_replaced(home: Path, look: Examine, tmp_path: Path) -> None:
    save(home, "from inside")
    registration = home / "config/datasets/shop.yaml"
    elsewhere = Path(shutil.copy2(data(home), tmp_path / "shop.sqlite"))
    registration.write_text(registration.read_text().replace(str(data(home)), str(elsewhere)))
    data(home).unlink()
    os.truncate(elsewhere, 300_000)
    remedy = findings(look(home))["data-corruption.truncated"].remedy
    assert f"Leave {elsewhere} as it is" in remedy.text
    assert all(command.startswith("grep ") for command in remedy.commands)


def restore_older_file_beside_log(home: Path, *, mode: str) -> None:
    """An older copy of the file comes back, and the log of the newer one stays beside it."""
    path = data(home)
    log = path.with_name(f"{path.name}-wal")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.close()
    old = path.read_bytes()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE filler AS SELECT a.* FROM train a, (SELECT id FROM train LIMIT 3)")
    connection.execute("DROP TABLE filler")
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("DELETE FROM train WHERE rowid % 9 = 0")
    left = log.read_bytes()
    connection.close()
    path.write_bytes(old)
    log.write_bytes(left)


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_an_unrelated_wal_is_never_merged_and_its_removal_heals(
    home: Path, look: Examine, tree: Tree, mode: str
) -> None:
    restore_older_file_beside_log(home, mode=mode)
    log = data(home).with_name("shop.sqlite-wal")
    before = tree(home)
    result = look(home)
    finding = findings(result)["data-corruption.foreign-log"]
    assert {each.code for each in result.findings if each.severity is not NOTE} == {"data-corruption.foreign-log"}
    assert (finding.severity, finding.location and finding.location.file) == (FAIL, str(log))
    assert tree(home) == before
    follow(finding)
    assert not log.exists()
    assert look(home).findings == ()


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
@pytest.mark.parametrize("newer", [True, False])
def test_an_unrelated_wal_is_known_by_counter_and_file_mode(tmp_path: Path, mode: str, newer: bool) -> None:
    path, log = tmp_path / "x.sqlite", tmp_path / "x.sqlite-wal"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE train (id INTEGER)")
    connection.execute(f"PRAGMA journal_mode={mode}")
    older = path.read_bytes()
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    between = [path.read_bytes()]
    for number in range(3):
        with closing(sqlite3.connect(path)) as other:  # each raises the counter only once
            other.execute(f"CREATE TABLE more{number} (a)")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        between.append(path.read_bytes())
    connection.execute("CREATE TABLE last (a)")
    of_then = log.read_bytes()
    connection.execute("CREATE TABLE afterwards (a)")
    connection.close()
    log.write_bytes(of_then)
    path.write_bytes(between[-1])
    assert not is_of_another_file(path, log)
    path.write_bytes(older if newer else path.read_bytes())
    assert is_of_another_file(path, log) is newer


KILLED = {
    "duckdb": "import duckdb, os; c = duckdb.connect({path!r}); c.execute(\"SET wal_autocheckpoint='1GB'\")\n"
    "c.execute('CREATE TABLE more (a INTEGER)'); c.execute('CHECKPOINT'); c.execute('INSERT INTO more VALUES (1)')\n"
    "os._exit(9)",
    "sqlite": "import sqlite3, os; c = sqlite3.connect({path!r}, isolation_level=None)\n"
    "c.execute('PRAGMA journal_mode=DELETE'); c.execute('PRAGMA cache_size=2'); c.execute('VACUUM')\n"
    "c.execute('CREATE TABLE more AS SELECT * FROM train'); c.execute('BEGIN'); c.execute('UPDATE train SET id = -1')\n"
    "c.execute('UPDATE train_features SET id = -2'); os._exit(9)",
}


@pytest.mark.parametrize("engine", KILLED)
def test_a_killed_process_wal_of_another_copy_is_never_merged(
    make_home: MakeHome, look: Examine, tree: Tree, engine: str
) -> None:
    home = make_home(f"mdm-1.0.6-{engine}")
    path = data(home)
    old = path.read_bytes()
    subprocess.run([sys.executable, "-c", KILLED[engine].format(path=str(path))], check=False)
    path.write_bytes(old)
    (log,) = (each for each in path.parent.glob(f"{path.name}?*") if each.stat().st_size)
    before = tree(home)
    result = look(home)
    assert [each.code for each in result.findings] == ["data-corruption.foreign-log"]
    assert str(log) in result.findings[0].message
    assert tree(home) == before
    follow(result.findings[0])
    assert not log.exists()
    assert look(home).findings == ()


@pytest.mark.parametrize("checkpointed", [True, False])
def test_a_log_that_belongs_to_its_file_is_no_foreign_one(home: Path, look: Examine, checkpointed: bool) -> None:
    path = data(home)
    killed = (
        f"import sqlite3, os; c = sqlite3.connect({str(path)!r}, isolation_level=None)\n"
        "c.execute('PRAGMA journal_mode=WAL'); c.execute('PRAGMA wal_autocheckpoint=0')\n"
        "for n in range(3): c.execute(f'CREATE TABLE more{n} (a)')\n"
        f"c.execute('PRAGMA {'wal_checkpoint' if checkpointed else 'user_version'}')\n"
        "for n in range(3): c.execute(f'DROP TABLE more{n}')\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed], check=False)
    assert path.with_name(f"{path.name}-wal").stat().st_size > 0
    assert look(home).findings == ()


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_locked_data_is_not_examined_and_passes_when_it_is_free(
    make_home: MakeHome, look: Examine, hold: Hold, engine: str
) -> None:
    home = make_home(f"mdm-1.0.6-{engine}")
    path = str(data(home))
    codes = {
        "sqlite": f"import sqlite3; c = sqlite3.connect({path!r}, isolation_level=None)\n"
        "c.execute('PRAGMA journal_mode=DELETE'); c.execute('PRAGMA cache_size=2'); c.execute('BEGIN')\n"
        "c.execute('UPDATE train_features SET id = -1')",
        "duckdb": f"import duckdb; c = duckdb.connect({path!r})",
    }
    holder = hold(codes[engine])
    result = look(home)
    finding = findings(result)["data-corruption.not-examined"]
    assert (result.status, finding.severity) == (Status.ERROR, WARN)
    assert f"(PID {holder.pid})" in result.reason
    assert holder.stdin is not None
    holder.stdin.close()
    holder.wait()
    assert look(home).status is Status.PASS


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_data_of_a_newer_format_is_not_examined(make_home: MakeHome, look: Examine, engine: str) -> None:
    home = make_home(f"mdm-1.0.6-{engine}")
    if engine == "sqlite":
        overwrite(data(home), 18, b"\x03\x03")
    else:
        overwrite(data(home), 0, duckdb_header_of_version(data(home), 60000))
    assert "newer" in findings(look(home))["data-corruption.not-examined"].message


def duckdb_header_of_version(path: Path, version: int) -> bytes:
    body = bytearray(path.read_bytes()[8:4096])
    body[4:12] = version.to_bytes(8, "little")
    checksum = 5381
    for at in range(0, len(body), 8):
        checksum ^= int.from_bytes(body[at : at + 8], "little") * 0xBF58476D1CE4E5B9 & (2**64 - 1)
    return checksum.to_bytes(8, "little") + bytes(body)


def test_an_emptied_table_without_recorded_counts_is_a_warning(make_home: MakeHome, look: Examine) -> None:
    home = make_home("mdm-0.1.0-duckdb")
    run_sql(home, "DELETE FROM big", dataset="big")
    finding = findings(look(home, "big"))["data-corruption.empty-table"]
    assert finding.severity is WARN


def test_an_emptied_table_is_proven_by_recorded_columns(home: Path, look: Examine) -> None:
    run_sql(home, "DELETE FROM big", dataset="big")
    finding = findings(look(home, "big"))["data-corruption.empty-table"]
    assert finding.severity is FAIL
    assert "was not" in finding.message


def test_a_table_that_always_was_empty_needs_no_feature_table(make_home: MakeHome, look: Examine) -> None:
    home = make_home("mdm-0.1.0-sqlite")
    run_sql(home, "DELETE FROM breast_cancer", "DROP TABLE breast_cancer_features", dataset="breast_cancer")
    assert set(findings(look(home, "breast_cancer"))) == {"data-corruption.empty-table"}


def test_lost_columns_are_known_from_the_database(home: Path, look: Examine) -> None:
    run_sql(home, "ALTER TABLE train DROP COLUMN city", "ALTER TABLE test DROP COLUMN city")
    result = look(home)
    lost = [finding for finding in result.findings if finding.code == "data-corruption.lost-columns"]
    assert [(each.subject, each.evidence) for each in lost] == [
        ("table train", {"columns": ["city"]}),
        ("table test", {"columns": ["city"]}),
    ]


def test_lost_columns_and_rows_are_known_from_statistics(make_home: MakeHome, look: Examine) -> None:
    home = make_home("mdm-0.1.0-duckdb")
    run_sql(home, "ALTER TABLE wine DROP COLUMN hue", "DELETE FROM wine WHERE id = 3", dataset="wine")
    result = findings(look(home, "wine"))
    assert result["data-corruption.lost-columns"].evidence == {"columns": ["hue"]}
    assert result["data-corruption.row-count"].evidence == {"rows": 177, "recorded": 178}
    assert "statistics.json" in result["data-corruption.row-count"].message


def test_statistics_older_than_the_registration_do_not_count(make_home: MakeHome, look: Examine) -> None:
    home = make_home("mdm-0.1.0-duckdb")
    statistics = home / "datasets/wine/metadata/statistics.json"
    content = json.loads(statistics.read_text(encoding="utf-8"))
    statistics.write_text(json.dumps({**content, "computed_at": "2020-01-01T00:00:00"}), encoding="utf-8")
    run_sql(home, "ALTER TABLE wine DROP COLUMN hue", "DELETE FROM wine WHERE id = 3", dataset="wine")
    assert look(home, "wine").findings == ()


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff\xfe", b"[]", b'{"tables": {"wine": 3}}', b"{}"])
def test_statistics_that_make_no_sense_do_not_stop_the_check(home: Path, look: Examine, content: bytes) -> None:
    (home / "datasets/wine/metadata/statistics.json").write_bytes(content)
    result = look(home, "wine")
    assert result.status is Status.PASS
    assert ("statistics.json" in result.reason) is (content[:1] not in b"[{" or content in (b"{", b"[" * 100_000))


def test_a_fifo_for_statistics_does_not_stop_the_check(home: Path, look: Examine) -> None:
    statistics = home / "datasets/wine/metadata/statistics.json"
    statistics.unlink()
    os.mkfifo(statistics)
    assert "FIFO" in look(home, "wine").reason


def test_nonsensical_internal_tables_do_not_stop_the_check(home: Path, look: Examine) -> None:
    run_sql(home, "DROP TABLE _statistics", "CREATE TABLE _statistics (other INTEGER)")
    result = look(home)
    assert result.status is Status.PASS
    assert "no such column" in result.reason


def test_what_a_killed_duckdb_left_is_merged_as_printed(make_home: MakeHome, look: Examine) -> None:
    home = make_home("mdm-1.0.6-duckdb")
    killed = (
        f"import duckdb, os; c = duckdb.connect({str(data(home))!r}); c.execute(\"SET wal_autocheckpoint='1GB'\")\n"
        "c.execute('CREATE TABLE new AS SELECT 1 AS a'); c.execute('DROP TABLE new'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed], check=False)
    finding = findings(look(home))["data-corruption.left-over-log"]
    assert finding.severity is WARN
    assert finding.location is not None
    assert finding.location.file.endswith("shop.duckdb.wal")
    follow(finding)
    assert look(home).findings == ()


def test_a_killed_sqlite_is_reported_and_opening_repairs_it(home: Path, look: Examine) -> None:
    killed = (
        f"import sqlite3, os; c = sqlite3.connect({str(data(home))!r}, isolation_level=None)\n"
        "c.execute('PRAGMA journal_mode=DELETE'); c.execute('PRAGMA cache_size=2'); c.execute('BEGIN')\n"
        "c.execute('UPDATE train_features SET id = -1'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed], check=False)
    result = look(home)
    assert (result.status, set(findings(result))) == (Status.PASS, {"data-corruption.interrupted-write"})
    assert result.findings[0].severity is NOTE
    run_sql(home, "SELECT count(*) FROM train")
    assert look(home).findings == ()


def test_structure_alone_is_looked_at_when_asked_to_be_quick(home: Path, look: Examine) -> None:
    run_sql(home, "DELETE FROM train WHERE id = 5")
    result = look(home, depth="quick")
    assert result.status is Status.PASS
    assert {table["rows"] for table in result.facts["tables"]} == {None}  # type: ignore[index, call-overload, union-attr] # JSON
    run_sql(home, "DROP TABLE train")
    assert look(home, depth="quick").status is Status.FAIL


def test_letter_case_of_a_table_makes_no_difference(home: Path, look: Examine) -> None:
    run_sql(home, "ALTER TABLE train RENAME TO x", "ALTER TABLE x RENAME TO TRAIN")
    assert look(home).findings == ()


def test_rows_of_tables_that_mdm_does_not_add_up_are_not_missed(home: Path, look: Examine) -> None:
    run_sql(home, "CREATE TABLE sample_submission AS SELECT id FROM test")
    for file in ("config/datasets/shop.yaml", "datasets/shop/dataset_info.json"):
        text = (home / file).read_text(encoding="utf-8")
        (home / file).write_text(
            text.replace("  test: test\n", "  test: test\n  sample_submission: sample_submission\n")
        )
    assert look(home).findings == ()


ROWS = "CREATE TABLE train AS SELECT i AS id FROM generate_series(1, 1000) i"
RECORDED = {"metadata": {"statistics": {"row_count": 1000, "memory_size_bytes": 8000}}}


@pytest.fixture
def server_home(postgres: Server, make_postgres_home: MakePostgresHome) -> Path:
    """A home whose dataset is on a server and had 1000 rows when it was registered."""
    home = make_postgres_home(postgres)
    for file in (home / "config/datasets/shop.yaml", home / "datasets/shop/dataset_info.json"):
        file.write_text(json.dumps({**yaml.safe_load(file.read_text()), **RECORDED}))
    postgres.add_database("mdm_shop", ROWS, owner=USER)
    return home


@pytest.mark.parametrize("depth", ["quick", "standard", "full"])
def test_healthy_data_on_a_server_is_examined_and_not_accused(server_home: Path, examine: Examine, depth: str) -> None:
    result = examine(CHECK, server_home, "shop", depth=depth)
    assert (result.status, result.findings, result.reason) == (Status.PASS, (), "")
    assert result.examined == 2
    assert PASSWORD not in repr(result)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("DELETE FROM train WHERE id > 900", "data-corruption.row-count"),
        ("DELETE FROM train", "data-corruption.empty-table"),
        ("DROP TABLE train", "data-corruption.missing-table"),
    ],
)
def test_damaged_data_on_a_server_is_found_until_it_is_repaired(
    server_home: Path, examine: Examine, postgres: Server, damage: str, code: str
) -> None:
    postgres.run(damage, database="mdm_shop", user=USER)
    result = examine(CHECK, server_home, "shop")
    assert [(each.code, each.severity, each.location) for each in result.findings] == [(code, Severity.FAIL, None)]
    postgres.run("DROP TABLE IF EXISTS train", ROWS, database="mdm_shop", user=USER)
    assert examine(CHECK, server_home, "shop").status is Status.PASS


def test_a_damaged_page_on_a_server_is_found_by_reading_all_rows(
    own_postgres: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    own_postgres.start()
    own_postgres.add_database("mdm_shop", ROWS, owner=USER)
    ((file,),) = own_postgres.run("CHECKPOINT", "SELECT pg_relation_filepath('train')", database="mdm_shop")
    own_postgres.stop()
    with (own_postgres.data / file).open("r+b") as page:
        page.seek(5000)
        page.write(b"damage")
    own_postgres.start()
    result = examine(CHECK, make_postgres_home(own_postgres), "shop", depth="full")
    assert {each.code for each in result.findings} == {"data-corruption.damaged"}
    assert "invalid page" in result.findings[0].message


WITHOUT_THE_SERVERS_CHECK = ("postgres-slowdown",)
"""It fails for a right that is missing, and would block what these tests are about."""


def test_a_role_that_may_read_no_table_never_passes(server_home: Path, examine: Examine, postgres: Server) -> None:
    postgres.run("ALTER TABLE train OWNER TO postgres", database="mdm_shop")
    result = examine(CHECK, server_home, "shop", ignore=WITHOUT_THE_SERVERS_CHECK)
    assert (result.status, result.examined) == (Status.ERROR, 0)
    assert "permission denied for table train" in result.reason
    assert "GRANT SELECT" in findings(result)["data-corruption.not-examined"].remedy.text


@pytest.mark.parametrize("depth", ["quick", "standard"])
def test_one_unreadable_table_is_an_error_beside_examined_ones(
    server_home: Path, examine: Examine, postgres: Server, depth: str
) -> None:
    for file in (server_home / "config/datasets/shop.yaml", server_home / "datasets/shop/dataset_info.json"):
        registered = yaml.safe_load(file.read_text())
        file.write_text(json.dumps({**registered, "metadata": {}, "tables": {"train": "train", "test": "test"}}))
    postgres.run("CREATE TABLE test AS SELECT * FROM train", database="mdm_shop", user=USER)
    assert examine(CHECK, server_home, "shop", depth=depth).status is Status.PASS
    postgres.run(f'REVOKE SELECT ON test FROM "{USER}"', database="mdm_shop")
    result = examine(CHECK, server_home, "shop", depth=depth, ignore=WITHOUT_THE_SERVERS_CHECK)
    assert (result.status, result.examined) == (Status.ERROR, 2)
    assert [each.code for each in result.findings] == ["data-corruption.not-examined"]
    assert "the table test could not be read: permission denied" in result.reason
    postgres.run("DROP TABLE train", database="mdm_shop", user=USER)
    result = examine(CHECK, server_home, "shop", depth=depth, ignore=WITHOUT_THE_SERVERS_CHECK)
    assert (result.status, {each.severity for each in result.findings}) == (Status.FAIL, {FAIL, WARN})


def test_a_table_locked_by_another_session_is_an_error(server_home: Path, examine: Examine, postgres: Server) -> None:
    with postgres.connect("mdm_shop") as other, other.transaction():
        other.execute("LOCK TABLE train IN ACCESS EXCLUSIVE MODE")
        result = examine(CHECK, server_home, "shop")
        assert (result.status, [each.code for each in result.findings]) == (
            Status.ERROR,
            ["data-corruption.not-examined"],
        )
        assert "lock timeout" in result.reason
        assert "until the table is read, its state is unknown" in result.findings[0].remedy.text
    assert examine(CHECK, server_home, "shop").status is Status.PASS


def test_a_role_that_a_server_refuses_leaves_its_data_unexamined(
    server_home: Path, examine: Examine, postgres: Server
) -> None:
    register(server_home, postgres, "other", {"user": "former"})
    result = examine(CHECK, server_home, "other")
    assert {each.code for each in result.findings} == {"data-corruption.not-examined"}
    assert "no pg_hba.conf entry" in result.findings[0].message


def test_a_server_that_is_away_blocks_the_check(
    own_postgres: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    own_postgres.start()
    own_postgres.stop()
    result = examine(CHECK, make_postgres_home(own_postgres), "shop")
    assert result.blocked_by == f"mdm-health::postgres-slowdown[{own_postgres.name}]"


def test_verifying_that_takes_too_long_is_given_up_and_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_mdm_health.backends.sqlite._TIMED_FROM", 0)
    run_sql(home, "CREATE TABLE more AS SELECT a.* FROM big a, (SELECT * FROM big LIMIT 30)", dataset="big")
    inventory = take_inventory(home, {})
    dataset = next(each for each in inventory.datasets if each.name == "big")
    options = Options(home=home, timeout=0.002)
    facts = collect(dataset, backend_of(dataset, inventory.settings), inventory.home, options)
    assert "--mdm-timeout" in facts.unexamined[0]
    assert facts.file.verified == ""
    codes = [finding.code.partition(".")[2] for finding in judge(facts, None)]
    assert codes == ["not-examined", "unregistered-table"]


def test_a_broken_registration_blocks_the_check(home: Path, examine: Examine) -> None:
    data(home).unlink()
    result = examine(CHECK, home, "shop")
    assert result.status is Status.BLOCKED
    assert result.blocked_by == "mdm-health::metadata-corruption[shop]"


def test_data_that_mdm_refuses_for_its_backend_is_examined(examine: Examine, home: Path) -> None:
    settings = home / "mdm.yaml"
    settings.write_text(settings.read_text().replace("default_backend: sqlite", "default_backend: duckdb"))
    assert examine("metadata-corruption", home, "shop").status is Status.FAIL
    assert examine("data-corruption", home, "shop").status is Status.PASS


def planned(plan: ExpectedDataset) -> Expected:
    return Expected(given=True, datasets={"shop": plan})


NOTHING_PLANNED = planned(ExpectedDataset())
SINCE: dict[str, tuple[str, Severity, tuple[str, ...], Expected | None]] = {
    "an altered cell": ("data-corruption.altered-rows", FAIL, ("UPDATE test SET qty = qty + 1 WHERE id = 7",), None),
    "a lost row": ("data-corruption.missing-rows", FAIL, ("DELETE FROM test WHERE id = 7",), None),
    "a new row": ("data-corruption.added-rows", FAIL, ("INSERT INTO test (id) VALUES (100000)",), None),
    "all rows twice": ("data-corruption.duplicated-rows", FAIL, ("INSERT INTO test SELECT * FROM test",), None),
    "a lost table": ("data-corruption.lost-table", FAIL, ("DROP TABLE kept",), None),
    "a lost column": ("data-corruption.dropped-columns", FAIL, ("ALTER TABLE test DROP COLUMN city",), None),
    "a new table": ("data-corruption.added-table", NOTE, ("CREATE TABLE more (a INTEGER)",), None),
    "a new column": ("data-corruption.added-columns", NOTE, ("ALTER TABLE test ADD COLUMN more INTEGER",), None),
    "another type": (
        "data-corruption.retyped",
        NOTE,
        (
            "CREATE TABLE old AS SELECT * FROM kept",
            "DROP TABLE kept",
            "CREATE TABLE kept (a DOUBLE)",
            "INSERT INTO kept SELECT a FROM old",
            "DROP TABLE old",
        ),
        None,
    ),
    "what was planned": (
        "data-corruption.as-planned",
        NOTE,
        ("ALTER TABLE test DROP COLUMN city",),
        planned(ExpectedDataset(dropped={"test": ("city",)})),
    ),
    "what was not planned": (
        "data-corruption.unplanned-change",
        FAIL,
        ("ALTER TABLE test ADD COLUMN more INTEGER",),
        NOTHING_PLANNED,
    ),
    "nothing, but planned": (
        "data-corruption.not-done",
        FAIL,
        (),
        planned(ExpectedDataset(dropped={"test": ("city",)})),
    ),
}


@pytest.fixture
def kept_before(each_engine: Path, look: Examine, tmp_path: Path) -> Result:
    run_sql(each_engine, "CREATE TABLE kept (a INTEGER)", "INSERT INTO kept VALUES (1), (2)")
    return look(each_engine, save_baseline=tmp_path / "before.json")


@pytest.mark.parametrize("what", SINCE)
def test_changes_since_the_baseline_are_found_until_repaired(
    each_engine: Path, kept_before: Result, look: Examine, tmp_path: Path, what: str
) -> None:
    code, severity, statements, expected = SINCE[what]
    whole = tmp_path / "whole"
    shutil.copy2(data(each_engine), whole)
    run_sql(each_engine, *statements)
    found = look(each_engine, before=kept_before, expected=expected)
    assert findings(found)[code].severity is severity
    assert found.status is (Status.FAIL if severity is FAIL else Status.PASS)
    shutil.copy2(whole, data(each_engine))
    repaired = look(each_engine, before=kept_before)
    assert repaired.status is Status.PASS
    assert set(findings(repaired)) == {"data-corruption.unregistered-table"}


def test_another_backend_elsewhere_is_reported_and_harmless(make_home: MakeHome, look: Examine) -> None:
    old, new = make_home("mdm-0.1.0-duckdb", "old"), make_home("mdm-1.0.6-sqlite", "new")
    run_sql(old, "CREATE TABLE odd AS SELECT TRUE AS yes, 'NaN'::DOUBLE AS x")
    run_sql(new, "CREATE TABLE odd (yes INTEGER, x DOUBLE)", "INSERT INTO odd VALUES (1, NULL)")
    result = look(new, before=look(old, save_baseline=old.parent / "before.json"))
    assert result.status is Status.PASS
    found = findings(result)
    told = {"data-corruption.moved", "data-corruption.backend-changed", "data-corruption.lossy-backend"}
    assert {found[code].severity for code in told} == {NOTE}
    assert "x: NaN became NULL" in found["data-corruption.lossy-backend"].message


def test_a_baseline_of_another_hash_function_is_an_error(kept_before: Result, look: Examine) -> None:
    home = Path(str(kept_before.facts["home"]))
    kept = json.loads(json.dumps(kept_before.kept))
    for table in kept["known"]:
        table["digest"]["vector"], table["hashed_by"] = "1-0000000000000000", "0.9.0"
    result = look(home, before=replace(kept_before, kept=kept))
    assert (result.status, result.examined) == (Status.ERROR, 0)
    assert {finding.code for finding in result.findings if finding.severity is WARN} == {"data-corruption.incomparable"}
    assert "different hash functions" in result.reason
    assert f"(DuckDB 0.9.0 then, {duckdb.__version__} now)" in result.reason


def test_a_table_unreadable_for_comparison_is_not_passed_over(home: Path, look: Examine, tmp_path: Path) -> None:
    before = look(home, "big", save_baseline=tmp_path / "before.json")
    overwrite(data(home, "big"), 20 * 4096, bytes(4096))
    result = look(home, "big", before=before)
    assert {"data-corruption.not-compared", "data-corruption.damaged"} <= findings(result).keys()
