"""Which findings may print commands that change something: those whose commands a test runs as printed.

Such a test does on a really damaged home what the finding says, and compares all values with what was right. A finding
that is not listed prints commands that only look (`tests/printed.py` tells them apart). To add one: write the test, and
name it here as `file below tests::function`.
"""

from __future__ import annotations

_LOCKING = "checks/test_sqlite_locking.py::"
_DATA = "checks/test_data_corruption.py::"
_COMPARED = "baseline/test_data_before_after.py::"
_METADATA = "checks/test_metadata_corruption.py::"
_ABSENT = "checks/test_metadata_corruption_absent.py::"
_SETTINGS = "checks/test_config_not_loading.py::"
_LEGACY = "checks/test_legacy_config_active.py::"
_BACKUP = "checks/test_backup_commands.py::"
_DEPENDENCIES = "checks/test_incompatible_dependencies.py::"
_TYPES = "checks/test_type_mismatch.py::"
_SERVER = "checks/test_postgres_slowdown.py::"

_MADE_AGAIN = "repair/verbs/test_register_again.py::test_the_finding_of_lost_data_names_it_and_is_gone"
_RESTORED = (
    _MADE_AGAIN,
    f"{_DATA}test_what_is_printed_restores_the_data_from_a_backup",
    f"{_DATA}test_what_is_printed_restores_from_every_kind_of_backup",
    f"{_DATA}test_restoring_changes_one_file_and_can_be_taken_back",
    f"{_DATA}test_a_backup_damaged_meanwhile_leaves_everything_as_it_is",
)
_PATH = (
    f"{_METADATA}test_only_the_paths_of_a_moved_home_are_corrected",
    f"{_METADATA}test_a_path_that_was_put_right_meanwhile_is_not_changed",
    f"{_METADATA}test_a_path_from_windows_is_put_right_by_one_command",
)
_REPAIRED = f"{_METADATA}test_a_damaged_registration_is_found_and_a_repaired_one_not"
_BROKE_OFF = f"{_METADATA}test_a_yaml_file_that_broke_off_anywhere_is_completed"
_ANALYSED = (f"{_SERVER}test_neglected_tables_are_noticed_and_healthy_once_repaired",)
_SETTINGS_KEPT = f"{_SETTINGS}test_an_older_safety_copy_is_never_overwritten"

_NEW_BACKUP = (
    f"{_BACKUP}test_the_new_backup_is_one_that_this_check_finds_good",
    "repair/verbs/test_back_up.py::test_the_archive_holds_everything_with_the_logs",
    "repair/verbs/test_back_up.py::test_a_second_archive_does_not_replace_the_first",
)
_MODES = (
    f"{_BACKUP}test_modes_are_changed_of_what_is_named_and_of_nothing_else",
    "repair/verbs/test_permissions.py::test_a_mode_is_changed_and_changed_back",
)
_NEW_ENVIRONMENT = (
    f"{_DEPENDENCIES}test_mdm_is_reinstalled_from_its_origin_in_a_new_environment",
    f"{_DEPENDENCIES}test_the_requirements_are_installed_in_a_new_environment",
)

PROVEN: dict[str, tuple[str, ...]] = {
    "sqlite-locking.left-over-wal": (
        f"{_LOCKING}test_a_log_left_by_a_killed_process_is_merged_as_printed",
        f"{_LOCKING}test_a_log_older_than_its_file_is_not_merged",
    ),
    "sqlite-locking.foreign-log": (f"{_LOCKING}test_an_unrelated_wal_fails_and_is_repaired_by_moving_it",),
    "data-corruption.foreign-log": (f"{_DATA}test_an_unrelated_wal_is_never_merged_and_its_removal_heals",),
    "data-corruption.unreplayable-log": (
        "checks/test_data_corruption_logs.py::test_a_damaged_duckdb_log_is_no_foreign_one",
    ),
    "data-corruption.left-over-log": (
        f"{_DATA}test_what_a_killed_duckdb_left_is_merged_as_printed",
        "checks/test_data_corruption_logs.py::test_a_log_that_duckdb_merges_is_merged_as_printed",
    ),
    "config-not-loading.unfinished-repair": (
        "repair/test_broken_off.py::test_a_repair_killed_at_any_moment_is_found_and_finished",
    ),
    "sqlite-locking.unsafe-journal-mode": (f"{_LOCKING}test_a_journal_mode_that_risks_the_file_is_a_warning",),
    "sqlite-locking.journal-mode": (
        f"{_LOCKING}test_a_rollback_journal_is_a_note_and_repaired_by_the_pragma",
        f"{_LOCKING}test_a_file_with_something_beside_it_is_not_converted",
        f"{_LOCKING}test_a_file_that_a_process_uses_is_not_converted",
        f"{_LOCKING}test_a_file_that_is_gone_is_not_made_by_the_conversion",
        f"{_LOCKING}test_a_journal_mode_that_risks_the_file_is_a_warning",  # the setting
    ),
    "sqlite-locking.readers-refused": (  # the command of journal-mode
        f"{_LOCKING}test_a_rollback_journal_is_a_note_and_repaired_by_the_pragma",
        f"{_LOCKING}test_a_file_that_a_process_uses_is_not_converted",
    ),
    **{
        f"data-corruption.{code}": _RESTORED
        for code in ("missing-file", "not-a-file", "empty-file", "wrong-format", "truncated", "row-count")
    },
    **{
        f"data-corruption.{code}": (
            f"{_DATA}test_a_table_that_is_gone_or_empty_is_restored_from_a_backup",
            "repair/verbs/test_put_back_table.py::test_a_table_comes_back_and_the_others_stay_as_they_are",
        )
        for code in ("missing-table", "empty-table")
    },
    **{
        f"data-corruption.{code}": (f"{_COMPARED}test_a_backup_unpacked_as_printed_outside_names_the_rows",)
        for code in ("altered-rows", "missing-rows", "added-rows", "duplicated-rows")
    },
    "metadata-corruption.path-elsewhere": _PATH,
    "metadata-corruption.missing-data": (
        "repair/test_repair_docs.py::test_the_story_ends_well",
        f"{_METADATA}test_a_path_from_windows_is_put_right_by_one_command",
    ),
    "metadata-corruption.incomplete": (
        f"{_METADATA}test_a_truncated_yaml_file_gets_its_end_back_from_its_copy",
        f"{_METADATA}test_an_updated_truncated_yaml_keeps_out_its_older_copy",
    ),
    "metadata-corruption.other-datasets-file": (
        f"{_METADATA}test_a_registration_of_another_datasets_file_is_made_again",
    ),
    "metadata-corruption.relative-path": (f"{_METADATA}test_a_relative_path_is_made_absolute_and_nothing_else",),
    "metadata-corruption.name-differs": (
        _REPAIRED,
        f"{_METADATA}test_a_file_with_an_invalid_name_gets_the_name_inside",
    ),
    **{f"metadata-corruption.{code}": (_REPAIRED,) for code in ("not-seen", "unknown-backend", "wrong-engine")},
    **{f"metadata-corruption.{code}": (_BROKE_OFF,) for code in ("syntax", "missing-field")},
    "metadata-corruption.not-done": (
        "checks/test_metadata_corruption_baseline.py::test_a_planned_value_needs_no_baseline",
    ),
    "metadata-corruption.not-a-mapping": (_REPAIRED, _BROKE_OFF),
    "metadata-corruption.missing-column": (
        _REPAIRED,
        f"{_METADATA}test_a_missing_column_comes_with_the_one_that_is_meant",
    ),
    "metadata-corruption.unregistered": (
        f"{_ABSENT}test_an_unregistered_dataset_is_restored_from_a_backup",
        f"{_ABSENT}test_a_lost_yaml_file_comes_out_of_a_backup_before_its_copy",
        f"{_ABSENT}test_a_lost_yaml_file_is_made_from_its_copy_and_nothing_else",
    ),
    "metadata-corruption.lost-registration": (
        f"{_ABSENT}test_a_registration_known_to_the_baseline_is_restored",
        f"{_ABSENT}test_a_lost_yaml_file_is_made_from_its_copy_and_nothing_else",
    ),
    "metadata-corruption.vanished": (
        f"{_ABSENT}test_a_vanished_dataset_fails_and_is_restored_from_a_backup",
        f"{_ABSENT}test_a_dataset_missing_in_a_copied_home_is_fetched",
    ),
    "metadata-corruption.unreadable": (f"{_METADATA}test_an_unreadable_file_is_not_damaged_but_needs_permission",),
    "config-not-loading.encoding": (
        f"{_SETTINGS}test_settings_that_name_their_encoding_become_utf_8",
        f"{_SETTINGS}test_settings_of_zeros_are_restored_and_never_emptied",
        f"{_SETTINGS}test_an_archive_repairs_zeros_and_is_named_for_the_rest",
        _SETTINGS_KEPT,
    ),
    "config-not-loading.syntax": (f"{_SETTINGS}test_a_good_copy_among_the_backups_repairs_invalid_yaml",),
    "config-not-loading.defaults-in-force": (f"{_SETTINGS}test_lost_settings_are_a_warning_where_a_copy_has_some",),
    "config-not-loading.unreadable": (f"{_SETTINGS}test_settings_that_may_not_be_read_are_not_moved_away",),
    "config-not-loading.ignored-variable": (f"{_SETTINGS}test_a_variable_that_sets_nothing_is_found_and_repaired",),
    "config-not-loading.refused-variable": (f"{_SETTINGS}test_a_refused_variable_is_found_and_repaired",),
    **{
        f"config-not-loading.{code}": (f"{_SETTINGS}test_damaged_settings_are_found_and_repaired_ones_are_not",)
        for code in ("unknown-key", "refused-value")
    },
    "config-not-loading.reverted": (f"{_SETTINGS}test_a_setting_that_vanished_is_found_and_repaired",),
    "config-not-loading.points-back": (f"{_SETTINGS}test_a_path_to_the_old_place_of_a_home_is_found_and_repaired",),
    "config-not-loading.unexpanded-path": (f"{_SETTINGS}test_a_path_that_a_shell_would_expand_is_written_out",),
    "config-not-loading.unplanned-setting": (f"{_SETTINGS}test_a_change_that_is_not_planned_fails_and_is_repaired",),
    "config-not-loading.not-done": (f"{_SETTINGS}test_what_was_not_done_is_repaired_by_doing_it",),
    "legacy-config-active.other-names": (
        f"{_LEGACY}test_flat_names_are_found_and_replaced_by_those_that_count",
        f"{_LEGACY}test_a_setting_under_both_names_says_which_counts",
    ),
    "legacy-config-active.flags-off": (f"{_LEGACY}test_disabled_switches_matter_only_after_the_migration",),
    "legacy-config-active.misread-flag": (f"{_LEGACY}test_a_switch_that_is_misread_is_found_and_repaired",),
    "legacy-config-active.unread-flags": (f"{_LEGACY}test_switches_that_mdm_does_not_have_are_a_note_and_repaired",),
    **{
        f"backup-failure.{code}": _NEW_BACKUP
        for code in (
            *("no-backup", "not-read", "without-log", "damaged-archive", "nothing-inside"),
            *("missing-dataset", "damaged-data", "missing-settings", "link-out"),
            *(
                "outdated",
                "incomplete-data",
                "damaged-metadata",
                "shared-files",
                "foreign-home",
            ),
        )
    },
    "backup-failure.old-backups": (
        *_NEW_BACKUP,
        f"{_BACKUP}test_old_archives_are_listed_and_go_once_a_newer_is_good",
        "repair/verbs/test_prune_backups.py::test_nothing_goes_while_the_newest_is_doubtful",
    ),
    "backup-failure.unreadable": _MODES,
    "backup-failure.writable-by-others": _MODES,
    "backup-failure.password-readable": (
        "checks/test_backup_failure.py::test_a_password_that_others_can_read_is_found_and_repaired",
    ),
    **{
        f"incompatible-dependencies.{code}": _NEW_ENVIRONMENT
        for code in ("interpreter", "python", "not-starting", "not-importable", "migration-requirements")
    },
    "data-corruption.index-disagrees": (
        "checks/test_data_corruption_objects.py::test_an_index_that_disagrees_is_made_again",
        "checks/test_data_corruption_objects.py::test_entries_that_a_table_lacks_are_a_last_trace",
    ),
    "data-corruption.damaged": (f"{_DATA}test_what_recovering_gets_out_takes_the_place_of_nothing",),
    "type-mismatch.numbers-as-text": (
        f"{_TYPES}test_texts_that_the_source_shows_to_be_numbers_are_found",
        f"{_TYPES}test_a_column_with_one_value_that_does_not_fit_stays_text",
    ),
    "type-mismatch.changed-type": (f"{_TYPES}test_a_column_that_became_text_is_converted_back_to_its_type",),
    "postgres-slowdown.never-analysed": _ANALYSED,
    "postgres-slowdown.stale-statistics": _ANALYSED,
    "postgres-slowdown.dead-rows": _ANALYSED,
    "postgres-slowdown.invalid-index": (f"{_SERVER}test_an_invalid_index_is_rebuilt_as_printed_without_changes",),
    "postgres-slowdown.slow-statement": (f"{_SERVER}test_a_repeatedly_slow_statement_is_noticed_until_repaired",),
    "postgres-slowdown.slower-statements": (f"{_SERVER}test_statements_slower_than_the_baseline_are_reported",),
    "postgres-slowdown.blocked-session": (f"{_SERVER}test_a_session_of_mdm_that_only_read_is_ended_as_printed",),
    "postgres-slowdown.no-privilege": (f"{_SERVER}test_the_login_of_the_owner_grants_what_is_missing",),
    "pool-exhaustion.leaked-transaction": (
        "checks/test_pool_exhaustion.py::test_leaked_sessions_have_client_and_age_until_repaired",
    ),
    "pool-exhaustion.leaked-connection": ("checks/test_pool_exhaustion.py::test_an_idle_session_of_mdm_is_ended",),
    "postgres-slowdown.wraparound": (f"{_SERVER}test_a_server_that_will_stop_writing_is_noticed_and_repaired",),
}
"""Code of a finding → the tests that prove its commands."""
