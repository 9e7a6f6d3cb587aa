"""Which findings may print commands that change something: those whose commands a test runs as printed.

Such a test does on a really damaged home what the finding says, and compares all values with what was right. A finding
that is not listed prints commands that only look (`tests/printed.py` tells them apart). To add one: write the test, and
name it here as `file below tests::function`.
"""

from __future__ import annotations

PROVEN: dict[str, tuple[str, ...]] = {
    "sqlite-locking.journal-mode": (
        "checks/test_sqlite_locking.py::test_a_rollback_journal_is_a_note_and_repaired_by_the_pragma",
        "checks/test_sqlite_locking.py::test_a_file_with_something_beside_it_is_not_converted",
        "checks/test_sqlite_locking.py::test_a_file_that_somebody_uses_is_not_converted",
        "checks/test_sqlite_locking.py::test_a_file_that_is_gone_is_not_made_by_the_conversion",
    ),
    "sqlite-locking.readers-refused": (
        "checks/test_sqlite_locking.py::test_a_rollback_journal_is_a_note_and_repaired_by_the_pragma",
        "checks/test_sqlite_locking.py::test_a_file_that_somebody_uses_is_not_converted",
    ),
}
"""Code of a finding → the tests that prove its commands."""
