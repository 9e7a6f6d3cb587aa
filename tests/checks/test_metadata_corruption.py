from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from pytest_mdm_health.checks._shared.permissions import allowed
from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from pytest_mdm_health.mdm.host.permissions import Barrier
from tests.helpers import follow, repair
from tests.postgres import HOST, PASSWORD, USER, MakePostgresHome, Server, register
from tests.produced import register_findings
from tests.registrations import differing, json_copy_file, said, yaml_file

CHECK = "metadata-corruption"
Examine = Callable[..., Result]
Change = Callable[[Path], object]


def rewrite(file: Path, pattern: str, replacement: str) -> None:
    text = file.read_text(encoding="utf-8")
    changed = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    assert changed != text
    file.write_text(changed, encoding="utf-8")


def in_yaml(pattern: str, replacement: str) -> Change:
    return lambda home: rewrite(yaml_file(home), pattern, replacement)


def in_both(pattern: str, replacement: str) -> Change:
    def change(home: Path) -> None:
        rewrite(yaml_file(home), pattern, replacement)
        rewrite(json_copy_file(home), pattern, replacement)

    return change


def all_of(*changes: Change) -> Change:
    def change(home: Path) -> None:
        for each in changes:
            each(home)

    return change


def register_away(home: Path) -> None:
    (home / "away").mkdir()
    data = json.loads(json_copy_file(home).read_text(encoding="utf-8"))
    (home / "away" / "dataset.yaml").write_text(yaml.safe_dump(data))


def register_twice(home: Path) -> None:
    second = yaml_file(home, "store")
    shutil.copy(yaml_file(home), second)
    rewrite(second, "^name: shop", "name: store")


def lose_the_folder(home: Path) -> None:
    (home / "elsewhere").mkdir()
    (home / "elsewhere" / "shop.yaml").write_bytes(yaml_file(home).read_bytes())
    yaml_file(home).unlink()


def make_fifo(home: Path) -> None:
    yaml_file(home).unlink()
    os.mkfifo(yaml_file(home))


def kept_yaml(home: Path) -> Path:
    return home.parent / "kept.yaml"


def put_back(home: Path) -> None:
    """Do by hand what the text says: put the registration right."""
    yaml_file(home).unlink(missing_ok=True)
    shutil.copy(kept_yaml(home), yaml_file(home))
    shutil.copy(kept_yaml(home).with_suffix(".json"), json_copy_file(home))


@dataclass(frozen=True)
class Case:
    """A way to damage the registration of the dataset `shop`, and what repairs it if no command does."""

    code: str
    severity: Severity
    damage: Change
    repair: Change | None = None
    label: str = ""


def fail(code: str, damage: Change, repair: Change | None = None, label: str = "") -> Case:
    return Case(code, Severity.FAIL, damage, repair, label)


def warn(code: str, damage: Change, repair: Change | None = None, label: str = "") -> Case:
    return Case(code, Severity.WARN, damage, repair, label)


def note(code: str, damage: Change, repair: Change | None = None, label: str = "") -> Case:
    return Case(code, Severity.NOTE, damage, repair, label)


CASES = (
    fail("metadata-corruption.syntax", in_yaml(r"(registered_at: '2026)[\s\S]*", r"\1"), put_back, "cut-off"),
    fail("metadata-corruption.syntax", in_yaml("^tables:$", "\ttables: ["), put_back, "tab"),
    fail(
        "metadata-corruption.encoding",
        lambda home: yaml_file(home).write_bytes(b"name: shop\ndescription: caf\xe9\n"),
        put_back,
    ),
    fail("metadata-corruption.unreadable", make_fifo, put_back),
    fail("metadata-corruption.unreadable", lambda home: yaml_file(home).write_text("[" * 5000), put_back, "nested"),
    fail("metadata-corruption.not-a-mapping", lambda home: yaml_file(home).write_text(""), label="empty"),
    fail("metadata-corruption.not-a-mapping", lambda home: yaml_file(home).write_text("- shop\n"), put_back, "list"),
    warn(
        "metadata-corruption.duplicate-key",
        in_yaml(r"\Z", "version: 1.0.0\n"),
        in_yaml(r"version: 1.0.0\n\Z", ""),
    ),
    fail(
        "metadata-corruption.broken-pointer",
        lambda home: yaml_file(home).write_text(f"path: {home}/away\n"),
        register_away,
    ),
    fail("metadata-corruption.missing-field", in_yaml(r"^  backend: sqlite\n", ""), put_back, "backend"),
    fail("metadata-corruption.missing-field", in_yaml(r"^name: shop\n", ""), put_back, "name"),
    fail("metadata-corruption.missing-field", in_yaml(r"^  path: .*\n", ""), put_back, "path"),
    warn(
        "metadata-corruption.field-type",
        in_yaml("^version: .*", "version: 1.0"),
        in_yaml("^version: .*", "version: '1.0'"),
    ),
    fail(
        "metadata-corruption.field-type",
        all_of(in_yaml("^tags: .*", "tags: old"), lambda home: json_copy_file(home).unlink()),
        in_yaml("^tags: .*", "tags: [old]"),
        label="without-json-copy",
    ),
    fail("metadata-corruption.name-differs", in_yaml("^name: shop", "name: store")),
    warn("metadata-corruption.name-differs", in_yaml("^name: shop", "name: Shop"), label="case"),
    fail("metadata-corruption.name-differs", in_both('(name"?: "?)shop', r"\1store"), put_back, label="in-both"),
    fail("metadata-corruption.not-seen", lambda home: yaml_file(home).rename(yaml_file(home).with_suffix(".yml"))),
    warn(
        "metadata-corruption.not-seen",
        lambda home: shutil.copy(yaml_file(home), yaml_file(home).with_suffix(".yml")),
        lambda home: yaml_file(home).with_suffix(".yml").unlink(),
        label="beside",
    ),
    fail("metadata-corruption.unregistered", lambda home: yaml_file(home).unlink(), label="json-copy-left"),
    warn(
        "metadata-corruption.unregistered",
        all_of(lose_the_folder, lambda home: json_copy_file(home).unlink()),
        lambda home: shutil.copy(home / "elsewhere" / "shop.yaml", yaml_file(home)),
        label="data-left",
    ),
    fail("metadata-corruption.unknown-backend", in_both(r"sqlite(\"?,?)$(?!\.)", r"sqlite3\1")),
    fail(
        "metadata-corruption.unknown-backend",
        in_both(r"(backend\"?: )\"?sqlite\"?", r"\1[sqlite]"),
        in_both(r"(backend\"?: )\[sqlite\]", r'\1"sqlite"'),
        label="list",
    ),
    fail(
        "metadata-corruption.missing-data",
        in_yaml(r"^(  path: )(.*)", r"\g<1>7 # \2"),
        in_yaml(r"^(  path: )7 # (.*)", r"\1\2"),
        label="number",
    ),
    fail("metadata-corruption.wrong-engine", in_both(r"(backend\"?: \"?)sqlite", r"\1duckdb")),
    fail(
        "metadata-corruption.other-default",
        lambda home: rewrite(home / "mdm.yaml", "default_backend: sqlite", "default_backend: duckdb"),
        lambda home: rewrite(home / "mdm.yaml", "default_backend: duckdb", "default_backend: sqlite"),
    ),
    fail(
        "metadata-corruption.other-default",
        lambda home: (home / "mdm.yaml").write_text('{"database": {"default_backend": "duckdb", "sqlite": {}}}'),
        lambda home: rewrite(home / "mdm.yaml", "duckdb", "sqlite"),
        label="one-line",
    ),
    fail(
        "metadata-corruption.missing-data",
        lambda home: (home / "datasets" / "shop" / "shop.sqlite").rename(home / "datasets" / "shop" / "x.db"),
        lambda home: (home / "datasets" / "shop" / "x.db").rename(home / "datasets" / "shop" / "shop.sqlite"),
        label="renamed",
    ),
    fail(
        "metadata-corruption.missing-data",
        lambda home: (home / "datasets" / "shop" / "shop.sqlite").rename(home / "kept"),
        lambda home: (home / "kept").rename(home / "datasets" / "shop" / "shop.sqlite"),
        label="gone",
    ),
    fail(
        "metadata-corruption.path-elsewhere",
        in_both(r"(path\"?: \"?)/.*/datasets/shop", r"\1/old/home/datasets/shop"),
        label="missing",
    ),
    warn("metadata-corruption.relative-path", in_both(r"(path\"?: \"?)/.*/datasets/shop", r"\1datasets/shop")),
    warn("metadata-corruption.shared-data", register_twice, lambda home: yaml_file(home, "store").unlink()),
    fail(
        "metadata-corruption.missing-column",
        in_yaml("^target_column: churn", "target_column: churned"),
        label="target",
    ),
    fail("metadata-corruption.missing-column", in_yaml("^- id$", "- ID"), label="id"),
    fail(
        "metadata-corruption.missing-column",
        in_yaml("^time_column: null", "time_column: when"),
        in_yaml("^time_column: when", "time_column: signup"),
        label="time",
    ),
    warn(
        "metadata-corruption.odd-date",
        in_yaml("^registered_at: .*", "registered_at: '1970-01-01T00:00:00+00:00'"),
        in_yaml("^registered_at: .*", "registered_at: '2026-01-31T12:00:00+00:00'"),
    ),
    note(
        "metadata-corruption.odd-version",
        in_yaml("^version: .*", "version: latest"),
        in_yaml("^version: .*", "version: 1.0.0"),
    ),
    warn(
        "metadata-corruption.damaged-twin", lambda home: json_copy_file(home).write_text('{"name": "shop", '), put_back
    ),
    warn(
        "metadata-corruption.twins-disagree",
        lambda home: rewrite(json_copy_file(home), '"train": "train"', '"train": "old"'),
        lambda home: json_copy_file(home).write_text(json.dumps(said(yaml_file(home)), default=str)),
    ),
    note("metadata-corruption.no-twin", lambda home: json_copy_file(home).unlink(), put_back),
    fail("metadata-corruption.incomplete", in_yaml(r"^target_column[\s\S]*", ""), put_back),
    warn("metadata-corruption.incomplete", in_yaml(r"^registered_at[\s\S]*", ""), put_back, "unneeded"),
)


def codes(result: Result) -> set[str]:
    return {finding.code for finding in result.findings}


def the(code: str, result: Result) -> Finding:
    found = [finding for finding in result.findings if finding.code == f"{CHECK}.{code}"]
    assert found, [finding.message for finding in result.findings]
    return found[0]


def test_a_healthy_home_has_sound_registrations(make_home: Callable[..., Path], examine: Examine) -> None:
    for name in ("mdm-1.0.6-sqlite", "mdm-1.0.6-duckdb"):
        home = make_home(name, name)
        for dataset in ("big", "breast_cancer", "shop", "wine"):
            result = examine(CHECK, home, dataset)
            assert (result.status, result.reason) == (Status.PASS, ""), result.findings
            assert result.examined == 3
            assert codes(result) <= {f"{CHECK}.twins-disagree"}


def test_what_update_left_in_a_healthy_home_is_a_note(home: Path, examine: Examine) -> None:
    finding = the("twins-disagree", examine(CHECK, home, "shop"))
    assert finding.severity is Severity.NOTE
    assert finding.evidence["fields"] == ["description", "last_updated_at"]


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_a_description_that_mdm_0_1_0_writes_is_a_warning(
    make_home: Callable[..., Path], examine: Examine, engine: str
) -> None:
    home = make_home(f"mdm-0.1.0-{engine}")
    assert [examine(CHECK, home, name).status for name in ("big", "breast_cancer", "wine")] == [Status.PASS] * 3
    result = examine(CHECK, home, "shop")
    finding = the("field-type", result)
    assert result.status is Status.WARN
    assert (finding.subject, finding.location and finding.location.line) == ("description", 3)
    assert f"silently reads {json_copy_file(home)} instead" in finding.message
    rewrite(yaml_file(home), r"^description:\n  description: (.*)", r"description: \1")
    assert examine(CHECK, home, "shop").status is Status.PASS


@pytest.mark.skipif(os.name != "posix", reason="FIFOs and shells are POSIX")
@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.code.partition('.')[2]}{case.label and '-' + case.label}"
)
def test_a_damaged_registration_is_found_and_a_repaired_one_not(home: Path, examine: Examine, case: Case) -> None:
    shutil.copy(yaml_file(home), kept_yaml(home))
    shutil.copy(json_copy_file(home), kept_yaml(home).with_suffix(".json"))
    case.damage(home)
    result = examine(CHECK, home, "shop")
    finding = next((each for each in result.findings if each.code == case.code), None)
    assert finding is not None, result
    assert finding.severity is case.severity
    assert finding.remedy.text
    if case.repair is not None:
        assert all(command.split()[0] in {"ls", "sha256sum"} for command in finding.remedy.commands)
        case.repair(home)
    else:
        follow(finding)
    assert case.code not in codes(examine(CHECK, home, "shop")), "repaired"


def test_a_copied_home_with_its_old_paths_is_a_failure_saying_so(home: Path, tmp_path: Path, examine: Examine) -> None:
    copy = tmp_path / "it's a & copy # 2"
    shutil.copytree(home, copy)
    finding = the("path-elsewhere", examine(CHECK, copy, "shop"))
    assert finding.severity is Severity.FAIL
    assert f"registered path is outside this home: {home}" in finding.message
    assert "(MDM still uses it)" in finding.message
    assert finding.evidence["other_home"] == str(home)
    assert finding.location is not None
    assert (finding.location.file, finding.location.line) == (str(yaml_file(copy)), 11)
    assert [command.split()[0] for command in finding.remedy.commands] == ["ls", "sha256sum"]
    assert "compare the two" in finding.remedy.text
    shutil.rmtree(home)  # moved, then: nothing is left that could be the newer one
    follow(the("path-elsewhere", examine(CHECK, copy, "shop")))
    assert examine(CHECK, copy, "shop").status is Status.PASS


def both(home: Path, name: str = "shop") -> list[dict[str, Any]]:
    return [said(yaml_file(home, name)), said(json_copy_file(home, name))]


def with_path(copies: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    return [{**each, "database": {**each["database"], "path": str(path)}} for each in copies]


@pytest.mark.parametrize("engine", ["mdm-1.0.6-sqlite", "mdm-1.0.6-duckdb", "mdm-0.1.0-sqlite", "mdm-0.1.0-duckdb"])
@pytest.mark.parametrize("name", ["big", "breast_cancer", "shop", "wine"])
def test_only_the_paths_of_a_moved_home_are_corrected(
    make_home: Callable[..., Path],
    tmp_path: Path,
    examine: Examine,
    tree: Callable[[Path], dict[str, tuple[object, ...]]],
    engine: str,
    name: str,
) -> None:
    old, new = make_home(engine, "old home"), tmp_path / "it's a & new [one] $HOME # 2"
    right = both(old, name)
    old.rename(new)
    before = tree(new)
    data = next(each for each in (new / "datasets" / name).iterdir() if each.suffix in {".sqlite", ".duckdb"})
    result = examine(CHECK, new, name)
    if engine.startswith("mdm-0.1.0") and name == "shop":  # MDM refuses the YAML file, which is to be repaired first
        assert the("path-elsewhere", result).remedy.commands[0].startswith("ls ")
        return
    finding = the("path-elsewhere", result)
    follow(finding)
    assert both(new, name) == with_path(right, data)
    assert examine(CHECK, new, name).status is Status.PASS
    changed = {key for key, info in tree(new).items() if before.get(key, ())[-1:] != info[-1:]}
    assert changed == {str(file(new, name).relative_to(new)) for file in (yaml_file, json_copy_file)}


def test_a_path_that_was_put_right_meanwhile_is_not_changed(home: Path, examine: Examine) -> None:
    right = both(home)
    in_both(r"(path\"?: \"?)/.*/datasets/shop", r"\1/old/home/datasets/shop")(home)
    finding = the("path-elsewhere", examine(CHECK, home, "shop"))
    in_both(r"(path\"?: \"?)/old/home/datasets/shop", rf"\1{home}/datasets/shop")(home)
    rewrite(yaml_file(home), "^display_name: .*", "display_name: >\n  the\n  shop")  # other lines, too
    refused(finding)
    assert both(home) == [{**right[0], "display_name": "the shop\n"}, right[1]]


def refused(finding: Finding) -> None:
    """The printed command changes nothing."""
    (command,) = finding.remedy.commands
    assert repair(*shlex.split(command)[1:])


@pytest.mark.parametrize("lost", ["the end", "the file"])
@pytest.mark.parametrize("value", ["red \U0001f377 wine", 1e-05, 1e22], ids=["wine", "small", "large"])
def test_a_value_that_yaml_reads_unlike_json_is_restored(
    home: Path, examine: Examine, lost: str, value: object
) -> None:
    copies = [{**each, "description": "", "metadata": {"note": value}} for each in both(home)]
    text = yaml.safe_dump(copies[0], sort_keys=False)
    yaml_file(home).write_text(text if lost == "the file" else text.partition("time_column")[0])
    json_copy_file(home).write_text(json.dumps(copies[1], indent=2))
    if lost == "the file":
        yaml_file(home).unlink()
    follow(the("unregistered" if lost == "the file" else "incomplete", examine(CHECK, home, "shop")))
    restored = said(yaml_file(home))
    assert differing(restored, json.loads(json_copy_file(home).read_text())) == set()
    assert restored["metadata"] == {"note": value}


BROKE_OFF = (
    "name: wi",
    "tables:",
    "target_col",
    "id_columns:\n- id\n- malic_acid",
    "registered_at: '2026-11-22T08",
    "tags",
)


@pytest.mark.parametrize("end", BROKE_OFF)
def test_a_yaml_file_that_broke_off_anywhere_is_completed(home: Path, examine: Examine, end: str) -> None:
    right = both(home, "wine")
    cut = (yaml_file(home, "wine").read_text().partition(end)[0] + end).encode()
    yaml_file(home, "wine").write_bytes(cut)
    result = examine(CHECK, home, "wine")
    calls = [each for each in result.findings if each.remedy.repairs]
    follow(calls[0])
    assert differing(*both(home, "wine")) == differing(right[0], both(home, "wine")[0]) == set()
    assert yaml_file(home, "wine").read_bytes().startswith(cut.rpartition(b"\n")[0])
    assert examine(CHECK, home, "wine").status is Status.PASS


@pytest.mark.parametrize("where", ["description", "metadata"])
def test_a_path_elsewhere_in_the_file_stays(home: Path, examine: Examine, where: str) -> None:
    old = "/old/home/datasets/shop/shop.sqlite"
    in_both(r"(path\"?: \"?)/.*/datasets/shop/shop.sqlite", rf"\1{old}")(home)
    added: dict[str, object] = {"description": f"x\n  path: {old}\n", "metadata": {"path": old}}
    copies = [{**each, where: added[where]} for each in both(home)]
    yaml_file(home).write_text(yaml.safe_dump(copies[0], sort_keys=False))
    json_copy_file(home).write_text(json.dumps(copies[1], indent=2))
    follow(the("path-elsewhere", examine(CHECK, home, "shop")))
    assert both(home) == with_path(copies, home / "datasets/shop/shop.sqlite")


def test_a_path_on_more_than_one_line_is_put_right_too(home: Path, examine: Examine) -> None:
    right = both(home)
    in_both(r"(path\"?: \"?)/.*/datasets/shop", r"\1/old/home/datasets/shop")(home)
    rewrite(yaml_file(home), "^(  path:) (.*)", r"\1 >-\n    \2")
    follow(the("path-elsewhere", examine(CHECK, home, "shop")))
    assert both(home) == right


def test_a_path_that_others_refer_to_is_not_changed_by_a_command(home: Path, examine: Examine) -> None:
    in_both(r"(path\"?: \"?)/.*/datasets/shop", r"\1/old/home/datasets/shop")(home)
    rewrite(yaml_file(home), "^(  path:) (.*)", r"\1 &place \2\n  place: *place")
    assert the("path-elsewhere", examine(CHECK, home, "shop")).remedy.commands == (f"ls -l -- {home}/datasets/shop",)


@pytest.mark.parametrize("broken", ["tables", "engine", "name"])
def test_data_of_unproven_ownership_is_only_looked_at(
    home: Path, make_home: Callable[..., Path], examine: Examine, broken: str
) -> None:
    in_both(r"(path\"?: \"?)/.*/datasets/shop", r"\1/old/home/datasets/shop")(home)
    data = home / "datasets/shop/shop.sqlite"
    if broken == "tables":
        shutil.copy(home / "datasets/wine/wine.sqlite", data)
    elif broken == "engine":
        shutil.copy(make_home("mdm-1.0.6-duckdb", "other") / "datasets/shop/shop.duckdb", data)
    else:
        data.rename(data.with_name("shop-2025.sqlite"))
    finding = the("path-elsewhere", examine(CHECK, home, "shop"))
    assert finding.remedy.commands == (f"ls -l -- {home}/datasets/shop",)
    assert "See whether" in finding.remedy.text


def test_a_path_from_windows_is_put_right_by_one_command(home: Path, examine: Examine) -> None:
    right = both(home)
    in_yaml("^(  path: ).*", r"\1C:\\Users\\me\\.mdm\\datasets\\shop\\shop.sqlite")(home)
    rewrite(
        json_copy_file(home), '"path": ".*"', r'"path": "C:\\\\Users\\\\me\\\\.mdm\\\\datasets\\\\shop\\\\shop.sqlite"'
    )
    result = examine(CHECK, home, "shop")
    finding = the("missing-data", result)
    assert "is a path of Windows (C:\\Users" in finding.message
    assert f"{CHECK}.relative-path" not in codes(result)
    assert [each.remedy.commands for each in result.findings if each.remedy.commands] == [finding.remedy.commands]
    follow(finding)
    assert both(home) == right
    assert examine(CHECK, home, "shop").status is Status.PASS


def test_a_registration_of_another_datasets_file_is_made_again(home: Path, examine: Examine) -> None:
    right = both(home)
    in_yaml("^(  path: ).*", rf"\g<1>{home}/datasets/wine/wine.sqlite")(home)
    result = examine(CHECK, home, "shop")
    finding = the("other-datasets-file", result)
    assert (result.status, finding.severity) == (Status.FAIL, Severity.FAIL)
    assert finding.code == "metadata-corruption.other-datasets-file"
    assert (
        f"'wine': {home}/datasets/wine/wine.sqlite; its own file is {home}/datasets/shop/shop.sqlite" in finding.message
    )
    assert f"{CHECK}.other-datasets-file" not in codes(examine(CHECK, home, "wine"))
    for other in ("data-corruption", "feature-generation-failure"):
        assert examine(other, home, "shop").status is Status.BLOCKED
    follow(finding)
    assert both(home) == right
    assert examine(CHECK, home, "shop").status is Status.PASS


def test_another_datasets_file_in_both_copies_gives_no_command(home: Path, examine: Examine) -> None:
    in_both(r"(path\"?: \"?)/.*/datasets/shop/shop.sqlite", rf"\1{home}/datasets/wine/wine.sqlite")(home)
    finding = the("other-datasets-file", examine(CHECK, home, "shop"))
    assert [command.split()[0] for command in finding.remedy.commands] == ["ls", "sha256sum"]


def test_a_relative_path_is_made_absolute_and_nothing_else(home: Path, examine: Examine) -> None:
    right = both(home)
    in_both(r"(path\"?: \"?)/.*/datasets/shop", r"\1datasets/shop")(home)
    follow(the("relative-path", examine(CHECK, home, "shop")))
    assert both(home) == right


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "big"])
@pytest.mark.parametrize("end", ["problem_type", "id_columns", "registered_at"])
def test_a_truncated_yaml_file_gets_its_end_back_from_its_copy(
    home: Path, examine: Examine, name: str, end: str
) -> None:
    right = both(home, name)
    file = yaml_file(home, name)
    file.write_text(file.read_text().partition(f"{end}:")[0])
    cut = file.read_bytes()
    result = examine(CHECK, home, name)
    finding = the("incomplete", result)
    assert result.status in {Status.FAIL, Status.WARN}
    assert "source" in str(finding.evidence["fields"])
    assert f"{CHECK}.twins-disagree" not in codes(result)
    follow(finding)
    assert both(home, name)[1] == right[1]
    assert differing(*both(home, name)) == differing(both(home, name)[0], right[0]) == set()
    assert file.read_bytes().startswith(cut)
    assert examine(CHECK, home, name).status is Status.PASS


def test_an_updated_truncated_yaml_keeps_out_its_older_copy(home: Path, examine: Examine) -> None:
    copies = both(home)
    assert differing(*copies) == {"description", "last_updated_at"}
    yaml_file(home).write_text(yaml_file(home).read_text().partition("problem_type:")[0])
    result = examine(CHECK, home, "shop")
    finding = the("incomplete", result)
    assert finding.severity is Severity.FAIL
    assert "target_column" in finding.message
    assert finding.remedy.commands == ()
    assert "description" in finding.remedy.text
    assert "Leave the JSON copy as it is" in finding.remedy.text
    assert all(not each.remedy.commands for each in result.findings)


def test_data_is_examined_although_its_yaml_file_is_truncated(home: Path, examine: Examine) -> None:
    file = yaml_file(home, "wine")
    file.write_text(file.read_text().partition("target_column:")[0])
    assert examine(CHECK, home, "wine").status is Status.FAIL
    assert examine("data-corruption", home, "wine").status is Status.PASS


def test_fields_for_people_alone_are_no_incomplete_registration(home: Path, examine: Examine) -> None:
    rewrite(yaml_file(home, "wine"), r"^display_name: .*\n", "")
    result = examine(CHECK, home, "wine")
    assert result.status is Status.PASS
    assert f"{CHECK}.incomplete" not in codes(result)


def test_a_home_that_is_reached_by_a_link_is_where_it_is(home: Path, tmp_path: Path, examine: Examine) -> None:
    (tmp_path / "link").symlink_to(home)
    assert examine(CHECK, tmp_path / "link", "shop").status is Status.PASS


def linked(home: Path, target: Path) -> Path:
    """The dataset's file, moved to a place and linked from where it was."""
    file = home / "datasets/shop/shop.sqlite"
    shutil.move(file, target)
    file.symlink_to(target)
    return file


@pytest.mark.parametrize("name", ["shop.sqlite", "of another name.db"])
def test_a_link_to_another_disk_is_no_path_elsewhere(home: Path, tmp_path: Path, examine: Examine, name: str) -> None:
    (tmp_path / "disk").mkdir()
    file = linked(home, tmp_path / "disk" / name)
    assert examine(CHECK, home, "shop").status is Status.PASS
    assert examine("data-corruption", home, "shop").status is Status.PASS
    (tmp_path / "disk" / name).unlink()
    assert f"{file} is a broken symbolic link" in the("missing-data", examine(CHECK, home, "shop")).message


def test_a_link_to_another_home_names_that_one(home: Path, tmp_path: Path, examine: Examine) -> None:
    other = shutil.copytree(home, tmp_path / "other")
    linked(home, other / "datasets/shop/shop.sqlite")
    finding = the("path-elsewhere", examine(CHECK, home, "shop"))
    assert finding.severity is Severity.FAIL
    assert f"outside this home: {other}/datasets/shop/shop.sqlite" in finding.message


def test_data_that_was_moved_intentionally_is_a_warning(home: Path, tmp_path: Path, examine: Examine) -> None:
    shutil.move(home / "datasets" / "shop" / "shop.sqlite", tmp_path / "big-disk.sqlite")
    in_both(r"(path\"?: \"?)/.*/datasets/shop/shop.sqlite", rf"\1{tmp_path}/big-disk.sqlite")(home)
    finding = the("path-elsewhere", examine(CHECK, home, "shop"))
    assert finding.severity is Severity.WARN


def test_two_unusable_copies_are_a_failure_without_a_command(home: Path, examine: Examine) -> None:
    yaml_file(home).write_text("name: [")
    json_copy_file(home).write_text("{")
    result = examine(CHECK, home, "shop")
    assert "cannot make a dataset of it" in the("syntax", result).message
    assert the("syntax", result).remedy.commands == ()


def test_the_default_backend_from_a_variable_is_named(home: Path, examine: Examine) -> None:
    result = examine(CHECK, home, "shop", environ={"MDM_DATABASE_DEFAULT_BACKEND": "duckdb"})
    assert "(from MDM_DATABASE_DEFAULT_BACKEND)" in the("other-default", result).message


def test_settings_that_do_not_load_are_no_other_default(home: Path, examine: Examine) -> None:
    """MDM does not start then, which config-not-loading reports."""
    named = {"MDM_DATABASE_DEFAULT_BACKEND": "duckdb"}
    assert f"{CHECK}.other-default" in codes(examine(CHECK, home, "shop", environ=named))
    (home / "mdm.yaml").write_bytes(bytes(100))
    assert f"{CHECK}.other-default" not in codes(examine(CHECK, home, "shop", environ=named))


def test_a_wrong_engine_is_not_also_a_different_default(home: Path, examine: Examine) -> None:
    in_both(r"(backend\"?: \"?)sqlite", r"\1duckdb")(home)
    assert f"{CHECK}.other-default" not in codes(examine(CHECK, home, "shop"))


def test_a_target_changed_without_an_update_is_more_than_a_note(home: Path, examine: Examine) -> None:
    rewrite(yaml_file(home), "^target_column: churn", "target_column: qty")
    assert the("twins-disagree", examine(CHECK, home, "shop")).severity is Severity.NOTE
    rewrite(yaml_file(home), "^last_updated_at: .*", "last_updated_at: null")
    assert the("twins-disagree", examine(CHECK, home, "shop")).severity is Severity.WARN


def test_a_missing_column_comes_with_the_one_that_is_meant(home: Path, examine: Examine) -> None:
    in_both('(target_column"?: "?)churn', r"\1Churn")(home)
    finding = the("missing-column", examine(CHECK, home, "shop"))
    assert "'Churn', which is not in train; there is 'churn'" in finding.message
    assert "'churn' may be intended" in finding.remedy.text
    follow(finding)  # `mdm dataset update` of 0.1.0 would damage the registration
    assert [each["target_column"] for each in both(home)] == ["churn", "churn"]
    assert examine(CHECK, home, "shop").status is Status.PASS


@pytest.mark.parametrize("depth", ["quick", "standard", "full"])
def test_a_database_that_cannot_be_opened_is_a_gap(home: Path, examine: Examine, depth: str) -> None:
    (home / "datasets" / "shop" / "shop.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    result = examine(CHECK, home, "shop", depth=depth)
    assert result.status is Status.PASS
    assert "the columns could not be compared: the database" in result.reason


def test_columns_that_changed_in_the_database_are_noticed(home: Path, examine: Examine) -> None:
    connection = sqlite3.connect(home / "datasets" / "shop" / "shop.sqlite")
    with connection:
        connection.execute("ALTER TABLE train RENAME COLUMN churn TO churned")
    connection.close()
    assert "there is 'churned'" in the("missing-column", examine(CHECK, home, "shop")).message


def test_a_flat_registration_as_the_guide_has_it_is_sound(home: Path, examine: Examine) -> None:
    data = home / "datasets" / "shop" / "shop.sqlite"
    flat = {"name": "shop", "path": str(data), "created_at": "2026-01-31", "backend": "sqlite", "version": "1.0.0"}
    yaml_file(home).write_text(yaml.safe_dump(flat))
    assert examine(CHECK, home, "shop").status is Status.PASS
    yaml_file(home).write_text(yaml.safe_dump({**flat, "path": str(data.parent)}))
    assert examine(CHECK, home, "shop").status is Status.PASS
    del flat["backend"]
    yaml_file(home).write_text(yaml.safe_dump(flat))
    assert the("missing-field", examine(CHECK, home, "shop")).subject == "backend"


def test_a_pointer_to_the_folder_of_the_dataset_is_sound(home: Path, examine: Examine) -> None:
    data = json.loads(json_copy_file(home).read_text(encoding="utf-8"))
    data["database"]["type"] = data["database"].pop("backend")
    (home / "datasets" / "shop" / "dataset.yaml").write_text(yaml.safe_dump(data))
    yaml_file(home).write_text(f"path: {home}/datasets/shop\n")
    assert examine(CHECK, home, "shop").status is Status.PASS
    rewrite(home / "datasets" / "shop" / "dataset.yaml", "^target_column: churn", "target_column: nothing")
    finding = the("missing-column", examine(CHECK, home, "shop"))
    assert finding.location is not None
    assert finding.location.file == str(home / "datasets" / "shop" / "dataset.yaml")


def on_server(server: Server, **differs: object) -> dict[str, object]:
    connection = {"backend": "postgresql", "host": HOST, "port": server.port, "user": USER, "password": PASSWORD}
    return {"name": "shop", "database": {**connection, "database": "mdm_shop", **differs}, "tables": {"train": "train"}}


def test_a_password_is_in_no_part_of_the_result(home: Path, examine: Examine, postgres: Server) -> None:
    yaml_file(home).write_text(yaml.safe_dump({**on_server(postgres, password="hunter2"), "description": 7}))
    json_copy_file(home).write_text(json.dumps(on_server(postgres)))
    result = examine(CHECK, home, "shop")
    assert {f"{CHECK}.field-type", f"{CHECK}.other-default"} <= codes(result)
    assert "hunter" not in repr(result)
    assert PASSWORD not in repr(result)


@pytest.mark.parametrize("string", [False, True])
def test_data_on_a_server_is_healthy_damaged_and_repaired(
    examine: Examine, postgres: Server, make_postgres_home: MakePostgresHome, string: bool
) -> None:
    home = make_postgres_home(postgres)
    if string:
        address = f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{HOST}:{postgres.port}/mdm_shop"
        data = {
            "name": "shop",
            "database": {"backend": "postgresql", "connection_string": address},
            "tables": {"t": "t"},
        }
        yaml_file(home).write_text(yaml.safe_dump(data))
        json_copy_file(home).write_text(json.dumps(data))
    finding = the("missing-data", examine(CHECK, home, "shop"))
    assert f"{HOST}:{postgres.port}/mdm_shop" in finding.message
    postgres.add_database("mdm_shop", "CREATE TABLE train (id integer)", owner=USER)
    result = examine(CHECK, home, "shop")
    assert (result.status, result.findings) == (Status.PASS, ())
    assert PASSWORD not in repr(result)


def test_data_on_the_configured_server_is_well_registered(
    examine: Examine, postgres: Server, make_postgres_home: MakePostgresHome
) -> None:
    home = make_postgres_home(postgres)
    older = on_server(postgres, host="db.example.org")
    json_copy_file(home).write_text(json.dumps(older))
    for database in ({"backend": "postgresql"}, {"backend": "postgresql", "user": USER, "password": PASSWORD}):
        yaml_file(home).write_text(yaml.safe_dump({**older, "database": database}))
        assert the("missing-data", examine(CHECK, home, "shop")).message.endswith(f":{postgres.port}/mdm_shop")
    postgres.add_database("mdm_shop", "CREATE TABLE train (id integer)", "INSERT INTO train VALUES (1)", owner=USER)
    assert {found.code for found in examine(CHECK, home, "shop").findings} == {f"{CHECK}.twins-disagree"}
    json_copy_file(home).unlink()
    assert examine(CHECK, home, "shop").status is Status.PASS
    for other in ("data-corruption", "type-mismatch"):
        assert examine(other, home, "shop").status is Status.PASS


def test_the_columns_of_data_on_a_server_are_compared(
    examine: Examine, postgres: Server, make_postgres_home: MakePostgresHome
) -> None:
    home = make_postgres_home(postgres)
    postgres.add_database("mdm_shop", "CREATE TABLE train (id integer, churn boolean)", owner=USER)
    for file in (yaml_file(home), json_copy_file(home)):
        file.write_text(json.dumps({**on_server(postgres), "target_column": "chrun"}))
    assert "there is 'churn'" in the("missing-column", examine(CHECK, home, "shop")).message


def test_a_connection_that_cannot_be_meant_is_found(
    examine: Examine, postgres: Server, make_postgres_home: MakePostgresHome
) -> None:
    home = make_postgres_home(postgres)
    for file in (yaml_file(home), json_copy_file(home)):
        file.write_text(json.dumps(on_server(postgres, port="many")))
    finding = the("bad-connection", examine(CHECK, home, "shop"))
    assert finding.code == "metadata-corruption.bad-connection"
    assert "no number of a port" in finding.message


def test_an_unreachable_server_blocks_only_what_is_on_it(home: Path, examine: Examine, own_postgres: Server) -> None:
    own_postgres.start()
    own_postgres.stop()
    register(home, own_postgres, "remote")
    for name, status in {"remote": Status.BLOCKED, "shop": Status.PASS}.items():
        assert examine(CHECK, home, name).status is status
    blocked = examine(CHECK, home, "remote")
    assert blocked.blocked_by == f"mdm-health::postgres-slowdown[{HOST}:{own_postgres.port}]"


def test_an_invalid_connection_is_not_blamed_on_another_server(
    examine: Examine, own_postgres: Server, make_postgres_home: MakePostgresHome
) -> None:
    own_postgres.start()
    own_postgres.stop()
    home = make_postgres_home(own_postgres, other={})
    address = {"backend": "postgresql", "connection_string": "mysql://db/shop"}
    for file in (yaml_file(home), json_copy_file(home)):
        file.write_text(json.dumps({**on_server(own_postgres), "database": address}))
    assert examine(CHECK, home, "other").status is Status.BLOCKED
    assert "no address of PostgreSQL" in the("bad-connection", examine(CHECK, home, "shop")).message


def test_a_device_in_place_of_the_data_is_called_one(home: Path, examine: Examine) -> None:
    in_both(r"(path\"?: \"?)/.*/datasets/shop/shop.sqlite", r"\1/dev/zero")(home)
    assert (
        "outside this home: /dev/zero (which is a device)"
        in the("path-elsewhere", examine(CHECK, home, "shop")).message
    )


def test_a_file_with_an_invalid_name_gets_the_name_inside(home: Path, examine: Examine) -> None:
    yaml_file(home).rename(yaml_file(home, "my shop"))
    finding = the("name-differs", examine(CHECK, home, "my shop"))
    follow(finding)
    assert examine(CHECK, home, "shop").status is Status.PASS


BEHIND_A_LOCK = ("config/datasets/shop.yaml", "datasets", "datasets/shop", "datasets/shop/dataset_info.json")
BOUND = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if hasattr(os, "geteuid") and not os.geteuid() else []
)


def as_a_user(home: Path, report: Path) -> list[dict[str, Any]]:
    """What the check says of `shop` to a user who is not above permissions."""
    command = [*BOUND, sys.executable, "-m", "pytest", "--mdm-health", f"--mdm-home={home}", "--mdm-select=7.2"]
    subprocess.run([*command, f"--mdm-json={report}"], cwd=report.parent, capture_output=True, check=False, timeout=120)
    results = json.loads(report.read_text(encoding="utf-8"))["results"]
    (found,) = (each["findings"] for each in results if each["target"]["name"] == "shop")
    register_findings(each["code"] for each in found)
    return [each for each in found if each["severity"] != "note"]


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
@pytest.mark.slow
@pytest.mark.parametrize("locked", BEHIND_A_LOCK)
def test_an_unreadable_file_is_not_damaged_but_needs_permission(
    home: Path, tmp_path: Path, tree: Callable[[Path], dict[str, tuple[object, ...]]], locked: str
) -> None:
    before = {name: info[2:] for name, info in tree(home).items()}
    (home / locked).chmod(0o000)
    found = as_a_user(home, tmp_path / "report.json")
    (finding,) = found
    code = "metadata-corruption.unreadable" if locked.endswith(".yaml") else "metadata-corruption.out-of-reach"
    assert (finding["code"], finding["severity"]) == (code, "warn" if locked.endswith(".json") else "fail")
    assert finding["remediation"]["commands"] == [f"mdm-health permissions {home / locked} readable"]
    assert not any(word in finding["remediation"]["text"] for word in ("backup", "Restore"))
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "MDM_HEALTH_YES": "1"}
    commands = "\n".join(finding["remediation"]["commands"])
    subprocess.run([*BOUND, "sh", "-ec", commands], check=True, timeout=60, env=environ)
    assert as_a_user(home, tmp_path / "report.json") == []
    after = {name: info[2:] for name, info in tree(home).items()}
    assert {**after, ".": None} == {**before, ".": None}  # the marker of the repair came into the home and went


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
def test_nothing_is_claimed_about_an_unreadable_folder(home: Path, tmp_path: Path) -> None:
    yaml_file(home).unlink()
    (home / "datasets/shop").chmod(0o000)
    (finding,) = as_a_user(home, tmp_path / "report.json")
    assert (finding["code"], finding["severity"]) == ("metadata-corruption.out-of-reach", "warn")
    assert "what 'shop' is remains unknown" in finding["message"]
    assert finding["remediation"]["commands"] == [f"mdm-health permissions {home}/datasets/shop readable"]


def test_a_file_of_another_user_is_asked_for() -> None:
    remedy = allowed(Barrier("/srv/it's", own=False), "/srv")
    assert remedy.commands == ("ls -ld -- '/srv/it'\"'\"'s'",)
    assert "belongs to another user" in remedy.text


def test_an_existing_yaml_file_is_not_overwritten_by_its_copy(home: Path, examine: Examine) -> None:
    kept = yaml_file(home).read_bytes()
    yaml_file(home).unlink()
    finding = the("unregistered", examine(CHECK, home, "shop"))
    yaml_file(home).write_bytes(kept)  # another program was faster
    refused(finding)
    assert yaml_file(home).read_bytes() == kept


@pytest.mark.parametrize(
    ("code", "damage"),
    [
        ("missing-column", in_yaml("^target_column: churn", "target_column: churned")),
        ("missing-field", in_yaml("^  backend: sqlite\n", "")),
        ("name-differs", in_yaml("^name: shop", "name: store")),
        ("path-elsewhere", in_yaml("^(  path: ).*", r"\1/old/home/datasets/shop/shop.sqlite")),
    ],
)
def test_a_good_copy_is_not_overwritten_with_a_wrong_yaml_file(
    home: Path, examine: Examine, code: str, damage: Change
) -> None:
    good = json_copy_file(home).read_bytes()
    damage(home)
    result = examine(CHECK, home, "shop")
    the(code, result)
    disagree = the("twins-disagree", result)
    assert disagree.remedy.commands == ()
    assert "in the YAML file first" in disagree.remedy.text
    for finding in result.findings:
        if finding.remedy.repairs:
            follow(finding)
    assert json_copy_file(home).read_bytes() == good


def test_a_path_in_a_yaml_file_made_from_its_copy_is_repaired(home: Path, examine: Examine) -> None:
    shutil.copy(json_copy_file(home), yaml_file(home))
    rewrite(yaml_file(home), '^( *"path": )"[^"]*"', r'\1"/old/home/datasets/shop/shop.sqlite"')
    follow(the("path-elsewhere", examine(CHECK, home, "shop")))
    assert examine(CHECK, home, "shop").findings == ()
    assert both(home)[0] == both(home)[1]


def test_a_copy_older_than_the_yaml_file_is_reported_as_older(home: Path, examine: Examine) -> None:
    written = json_copy_file(home).stat().st_mtime
    rewrite(yaml_file(home), r"^  path: .*\n", "")
    for later, older in {0: False, 3600: True}.items():
        os.utime(yaml_file(home), (written + later, written + later))
        finding = the("missing-field", examine(CHECK, home, "shop"))
        assert ("it is older, written " in finding.remedy.text) is older
        assert f"Add `database.path` to {yaml_file(home)} as its JSON copy" in finding.remedy.text
        assert finding.remedy.commands == ()


def test_a_column_only_in_the_copy_is_not_offered(home: Path, examine: Examine) -> None:
    in_both('(target_column"?: "?)churn', r"\1nothing")(home)
    assert the("missing-column", examine(CHECK, home, "shop")).remedy.commands == ()


def test_a_default_is_not_flipped_for_all_datasets(make_home: Callable[..., Path], examine: Examine) -> None:
    home = make_home("mdm-1.0.6-duckdb")
    (home / "mdm.yaml").unlink()
    remedy = the("other-default", examine(CHECK, home, "shop")).remedy
    assert remedy.commands == ()
    named = re.search(r"`(MDM_DATABASE_DEFAULT_BACKEND)=(\w+) mdm …` reaches this dataset", remedy.text)
    assert named is not None
    assert f"{CHECK}.other-default" not in codes(examine(CHECK, home, "shop", environ={named[1]: named[2]}))


def test_no_copy_is_written_from_a_yaml_file_of_unproven_content(home: Path, examine: Examine) -> None:
    rewrite(home / "mdm.yaml", r"\Z", "paths:\n  datasets_path: $MDM_DATA/datasets\n")
    finding = the("no-twin", examine(CHECK, home, "shop"))
    assert finding.remedy.commands == ()
    assert "`paths.datasets_path`" in finding.remedy.text


def test_an_invalid_name_beside_the_right_one_is_one_finding(home: Path, examine: Examine) -> None:
    shutil.copy(yaml_file(home, "wine"), yaml_file(home, "Wine Bad"))
    result = examine(CHECK, home, "Wine Bad")
    finding = the("name-differs", result)
    assert f"{CHECK}.not-seen" not in codes(result)
    assert finding.remedy.commands == ()
    assert f"{yaml_file(home, 'wine')} exists already" in finding.remedy.text


def test_a_file_of_an_impossible_name_is_not_renamed_to_another(home: Path, examine: Examine) -> None:
    yaml_file(home).rename(yaml_file(home, "My Shop"))
    rewrite(yaml_file(home, "My Shop"), "^name: shop", "name: my shop")
    finding = the("not-seen", examine(CHECK, home, "My Shop"))
    assert "MDM accepts no dataset called 'My Shop'" in finding.message
    assert finding.remedy.commands == ()


def test_a_name_in_capitals_is_not_renamed_to_an_existing_one(home: Path, examine: Examine) -> None:
    shutil.copy(yaml_file(home), yaml_file(home, "Shop"))
    finding = the("not-seen", examine(CHECK, home, "Shop"))
    assert finding.remedy.commands == ()
    assert "exists already" in finding.remedy.text


@pytest.mark.skipif(os.name != "posix", reason="FIFOs are POSIX")
def test_a_fifo_in_place_of_the_data_is_found_at_once(home: Path, examine: Examine) -> None:
    data = home / "datasets" / "shop" / "shop.sqlite"
    data.unlink()
    os.mkfifo(data)
    assert the("missing-data", examine(CHECK, home, "shop", timeout=20.0)).message == f"{data} is a FIFO"


def test_two_registrations_share_one_finding_for_missing_data(home: Path, examine: Examine) -> None:
    register_twice(home)
    (home / "datasets" / "shop" / "shop.sqlite").unlink()
    found = codes(examine(CHECK, home, "shop"))
    assert f"{CHECK}.missing-data" in found
    assert f"{CHECK}.shared-data" not in found


def test_names_with_quotes_and_line_breaks_do_no_harm(home: Path, examine: Examine) -> None:
    name = "o'ne $(touch x)\nline"
    (home / "config" / "datasets" / f"{name}.yaml").write_text("name: [")
    assert the("syntax", examine(CHECK, home, name)).severity is Severity.FAIL


def test_looking_leaves_no_trace(each_home: Path, examine: Examine, tree: Callable[[Path], object]) -> None:
    before = tree(each_home)
    for dataset in ("big", "breast_cancer", "shop", "wine"):
        examine(CHECK, each_home, dataset)
    assert tree(each_home) == before
