"""The two copies of a registration: where they are, what they say, and how they are compared."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml


def yaml_file(home: Path, name: str = "shop") -> Path:
    """The YAML file of a dataset."""
    return home / "config" / "datasets" / f"{name}.yaml"


def json_copy_file(home: Path, name: str = "shop") -> Path:
    """The JSON copy of a dataset's registration."""
    return home / "datasets" / name / "dataset_info.json"


def said(file: Path) -> dict[str, Any]:
    """All that one copy of a registration says; JSON is YAML."""
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


def differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """The fields in which two copies differ."""
    return {name for name in {*one, *other} if as_moments(one.get(name)) != as_moments(other.get(name))}


def as_moments(value: object) -> object:
    """A value with its dates as what they mean, and NumPy's numbers as text: MDM writes both in two ways."""
    if isinstance(value, dict):
        return {name: as_moments(item) for name, item in value.items()}
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[T ]", value):
        when = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return when if when.tzinfo else when.replace(tzinfo=timezone.utc)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
