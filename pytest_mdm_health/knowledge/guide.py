"""The guide's symptoms, each with the findings that say that it is so, and its quick diagnosis."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Symptom:
    """Something that a person sees, as the guide names it.

    Attributes:
        text: in a few words.
        issue: the guide's issue that explains it.
        findings: the codes that say it is so; empty where no program can tell.
        manual: why no program can tell, and what a person does instead; empty otherwise.
    """

    text: str
    issue: str
    findings: tuple[str, ...] = ()
    manual: str = ""


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

SYMPTOMS = (
    Symptom("backup script returns non-zero exit", "1.1", ("backup-failure.script-fails",)),
    Symptom(
        "permission denied",
        "1.1",
        (
            "backup-failure.unreadable",
            "backup-failure.folder-access",
        ),
    ),
    Symptom("insufficient space for backup", "1.1", ("backup-failure.no-room",)),
    Symptom("import errors after updating requirements", "1.2"),
    Symptom("package version conflicts", "1.2"),
    Symptom("pip install failures", "1.2"),
    Symptom(
        "failed to load configuration MDMSettingsError",
        "2.1",
    ),
    Symptom(
        "settings revert to defaults",
        "2.1",
    ),
    Symptom(
        "environment variables not recognised",
        "2.1",
    ),
    Symptom(
        "old configuration values still used",
        "2.2",
    ),
    Symptom(
        "changes to mdm.yaml have no effect",
        "2.2",
    ),
    Symptom(
        "mixed old and new behaviour",
        "2.2",
    ),
    Symptom("QueuePool limit exceeded", "3.1"),
    Symptom("hanging queries", "3.1"),
    Symptom("too many connections", "3.1"),
    Symptom("database is locked", "3.2"),
    Symptom("slow writes", "3.2"),
    Symptom("intermittent failures under load", "3.2"),
    Symptom("queries slower than before migration", "3.3"),
    Symptom("high CPU or memory on database server", "3.3"),
    Symptom("slow connection establishment", "3.3"),
    Symptom(
        "registration takes hours instead of minutes",
        "4.1",
        ("slow-registration.slower-than-before", "slow-registration.took-hours", "slow-registration.estimate"),
    ),
    Symptom("progress bar stuck", "4.1"),
    Symptom("high memory during registration", "4.1"),
    Symptom("MemoryError", "4.2"),
    Symptom("system becomes unresponsive", "4.2"),
    Symptom("killed by OOM killer", "4.2"),
    Symptom("row counts differ", "5.1"),
    Symptom("checksum failures", "5.1"),
    Symptom("missing or altered values", "5.1"),
    Symptom("TypeError while processing data", "5.2"),
    Symptom("unexpected column types", "5.2"),
    Symptom("strings that should be numeric", "5.2"),
    Symptom("FeatureGenerationError", "6.1"),
    Symptom("expected features missing", "6.1"),
    Symptom("incompatible feature values", "6.1"),
    Symptom("custom features not in dataset", "6.2"),
    Symptom("Feature not found", "6.2"),
    Symptom("custom features work in test but not production", "6.2"),
    Symptom("registration progress stops", "7.1"),
    Symptom("no CPU or disk activity", "7.1"),
    Symptom("looks deadlocked", "7.1"),
    Symptom("KeyError on dataset properties", "7.2", ("metadata-corruption.missing-field",)),
    Symptom(
        "inconsistent dataset information",
        "7.2",
        (
            "metadata-corruption.twins-disagree",
            "metadata-corruption.damaged-twin",
            "metadata-corruption.incomplete",
            "metadata-corruption.lost-field",
            "metadata-corruption.changed-field",
        ),
    ),
    Symptom(
        "registration succeeds but dataset unusable",
        "7.2",
        (
            "metadata-corruption.other-default",
            "metadata-corruption.missing-data",
            "metadata-corruption.other-datasets-file",
            "metadata-corruption.wrong-engine",
        ),
    ),
)
"""Every symptom of the guide, with what says that it is so."""
