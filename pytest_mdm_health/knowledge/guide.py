"""The guide's symptoms, the titles of its issues, and its quick diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Symptom:
    """Something that a person sees, in a few words, and the guide's issue that explains it.

    The findings that say that it is so name it as what they answer (`Rule.answers`).
    """

    text: str
    issue: str


AREAS = {
    "configuration error": "2",
    "storage or database error": "3",
    "performance problem": "4",
    "data integrity problem": "5",
    "feature engineering problem": "6",
    "registration problem": "7",
    "unknown problem": "8",
}
"""The guide's quick diagnosis: from the kind of trouble to the section."""

TITLES = {
    "1.1": "backup failure",
    "1.2": "incompatible dependencies",
    "2.1": "configuration not loading",
    "2.2": "legacy configuration active",
    "3.1": "connection pool exhaustion",
    "3.2": "SQLite locking",
    "3.3": "PostgreSQL slow",
    "4.1": "slow registration",
    "4.2": "memory exhaustion",
    "5.1": "data corruption",
    "5.2": "type mismatch",
    "6.1": "feature generation failure",
    "6.2": "custom features not loading",
    "7.1": "registration hangs",
    "7.2": "metadata corruption",
    "8.1": "system check",
    "8.3": "trouble in the log",
}
"""What the guide's issues are about, in a few words."""

_SYMPTOMS: Mapping[str, tuple[str, ...]] = {
    "1.1": ("backup script returns non-zero exit", "permission denied", "insufficient space for backup"),
    "1.2": ("import errors after updating requirements", "package version conflicts", "pip install failures"),
    "2.1": (
        "failed to load configuration MDMSettingsError",
        "settings revert to defaults",
        "environment variables not recognised",
    ),
    "2.2": ("old configuration values still used", "changes to mdm.yaml have no effect", "mixed old and new behaviour"),
    "3.1": ("QueuePool limit exceeded", "hanging queries", "too many connections"),
    "3.2": ("database is locked", "slow writes", "intermittent failures under load"),
    "3.3": (
        "queries slower than before migration",
        "high CPU or memory on database server",
        "slow connection establishment",
    ),
    "4.1": ("registration takes hours instead of minutes", "progress bar stuck", "high memory during registration"),
    "4.2": ("MemoryError", "system becomes unresponsive", "killed by OOM killer"),
    "5.1": ("row counts differ", "checksum failures", "missing or altered values"),
    "5.2": ("TypeError while processing data", "unexpected column types", "strings that should be numeric"),
    "6.1": ("FeatureGenerationError", "expected features missing", "incompatible feature values"),
    "6.2": ("custom features not in dataset", "Feature not found", "custom features work in test but not production"),
    "7.1": ("registration progress stops", "no CPU or disk activity", "looks deadlocked"),
    "7.2": (
        "KeyError on dataset properties",
        "inconsistent dataset information",
        "registration succeeds but dataset unusable",
    ),
}
"""What a person sees, by issue, in the order of the guide."""

SYMPTOMS = tuple(Symptom(text, issue) for issue, texts in _SYMPTOMS.items() for text in texts)
"""Every symptom of the guide."""
