"""Finding uses of MDM's old configuration in Python sources."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mdm_health.mdm.installed.legacy_code import NotReadable, Use, uses_in

IMPORT = "from mdm.config import CONFIG\n"


def uses(text: str, **more: bool) -> list[Use]:
    return uses_in(text.encode(), **more)


def test_an_import_and_a_subscript_are_found_with_their_places() -> None:
    assert uses(f"{IMPORT}\n\ndef size():\n    return 2 * CONFIG['performance']['batch_size']\n") == [
        Use(1, 1, "from mdm.config import CONFIG", None),
        Use(5, 16, "CONFIG['performance']['batch_size']", ("performance", "batch_size")),
    ]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (IMPORT + "CONFIG['a']", ("a",)),
        (IMPORT + "CONFIG['a'].get('b')", ("a", "b")),
        (IMPORT + "CONFIG.get('a', {}).get('b', 5)", ("a", "b")),
        (IMPORT + "print(CONFIG)", ()),
        (IMPORT + "CONFIG['a']['b'] = 1", ("a", "b")),
        (IMPORT + "CONFIG[name]['b']", ()),
        ("from mdm.config import CONFIG as C\nC['a']['b']", ("a", "b")),
        ("from mdm.config.legacy import CONFIG\nCONFIG['a']", ("a",)),
        ("from mdm.config import *\nCONFIG['a']", ("a",)),
        ("import mdm.config\nmdm.config.CONFIG['a']", ("a",)),
        ("import mdm.config as c\nc.CONFIG['a']['b']", ("a", "b")),
        ("import mdm\nmdm.config.CONFIG['a']", ("a",)),
        ("import mdm as m\nm.config.CONFIG['a']", ("a",)),
        ("from mdm import config\nconfig.CONFIG['a']", ("a",)),
        ("def f():\n    from mdm.config import CONFIG\n    return CONFIG['a']", ("a",)),
        ("if x:\n    from mdm.config import CONFIG\nf'{CONFIG[\"a\"]}'", ("a",)),
    ],
)
def test_every_way_to_ask_for_a_value_is_found_once(text: str, keys: tuple[str, ...]) -> None:
    (use,) = (use for use in uses(text) if use.keys is not None)
    assert use.keys == keys


def test_writes_are_distinguished_from_reads_and_computed_keys() -> None:
    written, read, computed = (each for each in uses(f"{IMPORT}CONFIG['a'] = 1\nCONFIG['a']\nCONFIG['a'][b]\n")[1:])
    assert (written.writes, read.writes, computed.writes) == (True, False, False)
    assert (written.complete, read.complete, computed.complete) == (True, True, False)


@pytest.mark.parametrize(
    "text",
    [
        "CONFIG = {'a': 1}\nCONFIG['a']\n",
        "from myapp.settings import CONFIG\nCONFIG['a']['b']\n",
        "from .config import CONFIG\nCONFIG['a']\n",
        "import other\nother.CONFIG['a']\n",
        "# from mdm.config import CONFIG\n",
        "text = \"CONFIG['a']\"\n",
        "from mdm.config import get_config\nget_config().database\n",
        "from mdm.config import CONFIG_TYPE\n",
        "",
    ],
)
def test_what_is_not_mdms_configuration_is_left_alone(text: str) -> None:
    assert uses(text) == []


def test_a_relative_import_counts_in_mdms_own_source() -> None:
    found = uses("from ..config import CONFIG\nCONFIG['a']\n", inside_mdm=True)
    assert [use.keys for use in found] == [None, ("a",)]


@pytest.mark.parametrize(
    "broken",
    [
        IMPORT + "print CONFIG['database']['default_backend']\n",
        IMPORT + "x = CONFIG['database']['default_backend']\ndef (:\n",
        IMPORT + "x = CONFIG['database']['default_backend']\ny = (\n",
    ],
)
def test_what_does_not_parse_is_read_word_by_word(broken: str) -> None:
    assert [(use.line, use.keys) for use in uses(broken)] == [(1, None), (2, ("database", "default_backend"))]


def test_code_beside_a_use_that_does_not_parse_is_not_shown() -> None:
    text = f"{IMPORT.strip()}; login(password='hunter2')  # hunter2\nprint CONFIG['a']['b'], login('hunter2')\n"
    assert [use.text for use in uses(text)] == [IMPORT.strip(), "CONFIG['a']['b']"]


def test_unparsable_code_without_mdm_imports_is_ignored() -> None:
    assert uses("print CONFIG['a']\n") == []


def test_an_encoding_that_is_declared_is_heeded() -> None:
    source = b"# -*- coding: latin-1 -*-\nfrom mdm.config import CONFIG\nx = 'caf\xe9', CONFIG['a']\n"
    assert [use.keys for use in uses_in(source)] == [None, ("a",)]


def test_a_column_counts_characters_not_bytes() -> None:
    assert uses(f"{IMPORT}'äöü', CONFIG['a']\n")[1].column == 8


def test_bytes_that_are_no_text_are_not_readable() -> None:
    with pytest.raises(NotReadable):
        uses_in(b"\xff\xfe CONFIG")


@pytest.mark.parametrize("nest", ["(" * 5000, "CONFIG" + "['a']" * 20_000, "-" * 50_000 + "CONFIG"])
def test_absurd_nesting_is_survived(nest: str) -> None:
    assert uses(f"{IMPORT}{nest}\n")[0] == Use(1, 1, IMPORT.strip(), None)


@given(st.text("CONFIG[]'\"()\n\t :=.ab", max_size=40))
def test_no_source_makes_it_raise(text: str) -> None:
    for use in uses(IMPORT + text):
        assert use.line >= 1


def test_a_default_is_not_shown() -> None:
    source = b"from mdm.config import CONFIG\nCONFIG['db'].get('password', 'hunter2')\n"
    assert "hunter2" not in repr(uses_in(source))
