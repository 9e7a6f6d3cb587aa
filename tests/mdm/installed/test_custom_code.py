from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.installed.custom_code import CustomClass, CustomCode, listed_in, read_custom_code, texts_in
from tests.made_up_features import CUSTOM


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shop.py"


def read(file: Path, source: str) -> CustomCode:
    file.write_text(source, encoding="utf-8")
    return read_custom_code(file)


HEAD = "from mdm.features.custom.base import BaseDomainFeatures\n"
SOUND_BODY = "    def _register_operations(self): ...\n"


def test_a_class_that_mdm_can_use_is_found(file: Path) -> None:
    assert read(file, CUSTOM) == CustomCode(classes=(CustomClass(name="ShopFeatures", line=4),))


@pytest.mark.parametrize(
    "source",
    [
        "import mdm.features.custom.base as base\nclass Shop(base.BaseDomainFeatures):\n" + SOUND_BODY,
        "from mdm.features.custom.base import BaseDomainFeatures as Base\nclass Shop(Base):\n" + SOUND_BODY,
        HEAD + "class Shop(BaseDomainFeatures):\n    def __init__(self, name, ratio=1): ...\n" + SOUND_BODY,
        HEAD + "class Shop(BaseDomainFeatures):\n    def __init__(self, *names, **more): ...\n" + SOUND_BODY,
        HEAD + "class Shop(BaseDomainFeatures):\n    def __init__(self, *, name=1, dataset_name=2, **more): ...\n"
        "    def __init__(self, name): ...\n" + SOUND_BODY,
        HEAD + "class Shop(BaseDomainFeatures):\n    _register_operations = lambda self: None\n",
        HEAD + "class Base2(BaseDomainFeatures):\n" + SOUND_BODY + "class Shop(Base2):\n    pass\n",
    ],
)
def test_every_way_to_write_it_is_known(file: Path, source: str) -> None:
    classes = read(file, source).classes
    assert classes[-1].name == "Shop"
    assert [each.unmet for each in classes] == [""] * len(classes)


@pytest.mark.parametrize(
    ("body", "unmet"),
    [
        ("    pass\n", "it does not define _register_operations"),
        ("    def __init__(self): ...\n" + SOUND_BODY, "its constructor does not take the dataset's name"),
        ("    def __init__(self, name, rate): ...\n" + SOUND_BODY, "its constructor also requires rate"),
        ("    def __init__(self, name, *, rate): ...\n" + SOUND_BODY, "its constructor also requires rate"),
    ],
)
def test_a_class_that_mdm_cannot_make_an_instance_of_says_why(file: Path, body: str, unmet: str) -> None:
    (found,) = read(file, HEAD + "class Shop(BaseDomainFeatures):\n" + body).classes
    assert found.unmet == unmet


def test_functions_are_told_from_decorated_ones(file: Path) -> None:
    source = (
        "from mdm import features\nfrom mdm.features import custom_feature\n"
        "@custom_feature(name='ratio', input_columns=[], output_type=int)\ndef a(df): ...\n"
        "@features.custom_feature\ndef b(df): ...\n"
        "@other\ndef c(df): ...\ndef d(df): ...\ndef _helper(): ...\nclass E:\n    def f(self): ...\n"
    )
    assert read(file, source) == CustomCode(functions=("c", "d"), decorated=("a", "b"), features=("ratio", "b"))


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"def (:\n", 1), (b"x = 1\nif x\n", 2), (b"x = '\xff'\n", None), (b"x = 1\x00\n", None), (b"(" * 100_000, 1)],
)
def test_what_is_no_python_is_told_with_its_place(file: Path, content: bytes, line: int | None) -> None:
    file.write_bytes(content)
    code = read_custom_code(file)
    assert code.syntax
    assert line is None or code.line in {line, None}


def test_deep_nesting_is_an_answer(file: Path) -> None:
    assert read(file, "x = " + "-" * 200_000 + "1").syntax


def test_another_encoding_that_is_declared_is_read(file: Path) -> None:
    file.write_bytes(b"# -*- coding: latin-1 -*-\ndef gr\xf6\xdfe(df): ...\n")
    assert read_custom_code(file).functions == ("größe",)


def test_what_is_no_file_is_told(file: Path) -> None:
    assert read_custom_code(file).problem == "does not exist"
    os.mkfifo(file)
    assert read_custom_code(file).problem == "is a FIFO"


@pytest.mark.parametrize(
    ("index", "listed"),
    [
        ("", set()),
        ("from . import shop", {"shop"}),
        ("from .shop import ratios", {"shop"}),
        ("from custom_features import shop, wine", {"shop", "wine"}),
        ("import shop", {"shop"}),
        ("from .shop import *\n__all__ = ['other']", {"shop"}),
        ("from . import shop, wine\n__all__ = ['shop']", {"shop"}),
        ("from .shop import ratios\n__all__ = ('ratios',)", {"shop"}),
        ("from .shop import ratios\n__all__: list = ['other']", set()),
        ("from . import shop\n__all__ = []\n__all__ += ['shop']", {"shop"}),
        ("__all__ = ['shop']", set()),
    ],
)
def test_a_module_is_listed_if_it_is_imported_and_let_out(tmp_path: Path, index: str, listed: set[str]) -> None:
    (tmp_path / "__init__.py").write_text(index)
    assert listed_in(tmp_path / "__init__.py", ["shop", "wine"]) == listed


def test_a_folder_without_a_readable_index_lists_nothing(tmp_path: Path) -> None:
    assert listed_in(tmp_path / "__init__.py", ["shop"]) is None
    (tmp_path / "__init__.py").write_text("from . import (")
    assert listed_in(tmp_path / "__init__.py", ["shop"]) is None


def test_the_texts_that_are_written_out_in_a_file_are_known(file: Path) -> None:
    file.write_text("x = df['amount'] + f'{y} of' + b'raw'.decode() + str(7)\n")
    assert texts_in(file) == {"amount", " of"}
    file.write_text("x = (")
    assert texts_in(file) == set()
