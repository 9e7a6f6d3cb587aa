"""A made-up MDM as far as features go, for `make_python`, and a pandas that is just enough for it."""

from __future__ import annotations

BASE = """
from abc import ABC, abstractmethod

class BaseDomainFeatures(ABC):
    def __init__(self, dataset_name, min_signal_ratio=0.01):
        self.dataset_name = dataset_name
        self._operation_registry = {}
        self._register_operations()

    @abstractmethod
    def _register_operations(self): ...

    def _check_feature_signal(self, values):
        return len(set(values)) > 1
"""

GENERATOR = """
import logging
from mdm.models.enums import ColumnType

class FeatureGenerator:
    def generate_features(self, df, dataset_name, column_types, target_column=None, id_columns=None):
        made = df.copy()
        for column, kind in column_types.items():
            if kind is ColumnType.NUMERIC and column not in (id_columns or []):
                try:
                    made[column + "_double"] = [None if value is None else value * 2 for value in df[column]]
                except TypeError as error:
                    logging.getLogger(__name__).error("Error in column '%s': %s", column, error)
        return made
"""

ENUMS = """
from enum import Enum
ColumnType = Enum("ColumnType", {name.upper(): name for name in
    ("numeric", "categorical", "datetime", "text", "id", "target", "binary")})
"""

PANDAS = """
class DataFrame:
    def __init__(self, rows, columns):
        self.data = {name: [row[place] for row in rows] for place, name in enumerate(columns)}
    @property
    def columns(self):
        return list(self.data)
    def __getitem__(self, name):
        return self.data[name]
    def __setitem__(self, name, values):
        self.data[name] = list(values)
    def __len__(self):
        return max(map(len, self.data.values()), default=0)
    def copy(self):
        copied = DataFrame([], [])
        copied.data = {name: list(values) for name, values in self.data.items()}
        return copied

def to_datetime(values, errors="raise"):
    return values
"""

FEATURES = {
    "mdm/features/custom/__init__.py": "",
    "mdm/features/custom/base.py": BASE,
    "mdm/features/generator.py": GENERATOR,
    "mdm/models/enums.py": ENUMS,
    "pandas.py": PANDAS,
}
"""Files of a sound one."""

CUSTOM = """
from mdm.features.custom.base import BaseDomainFeatures

class ShopFeatures(BaseDomainFeatures):
    def _register_operations(self):
        self._operation_registry = {"ratios": self.ratios}

    def ratios(self, df):
        return {"per_piece": [index * 1.5 for index in range(len(df))], "flat": [1] * len(df)}
"""
"""A sound file of custom features: `flat` has no signal, so MDM leaves it out."""
