"""The configuration from before the migration is still at work.

Symptoms
--------
Values from before the migration still count, whatever one writes into `mdm.yaml`; one part of MDM behaves in the new
way, another in the old.

Causes
------
Files of the old configuration that were left behind, and are edited in the belief that they count. Keys in
`mdm.yaml` in the words of another configuration system: the one that all released versions use nests its settings
(`database.sqlite.journal_mode`), the one that came in with 0.2.0 has them flat (`database.sqlite_journal_mode`), and
each ignores the words of the other. Switches in `feature_flags.yaml` or `MDM_FEATURE_*` of which some are on and some
are off. A cached configuration. Code, custom features above all, that still asks `CONFIG['section']['key']`.

The switches have traps: 0.2.0 reads them from `~/.mdm` whatever `MDM_HOME_DIR` says, takes the text `'false'` for true,
and does not read the file that it writes itself.

Diagnosis
---------
`find ~/.mdm -name "*.conf" -o -name "*.ini"`; `from mdm.config import CONFIG_TYPE` where MDM has it; `grep -rw
CONFIG src/mdm/`. This check parses the code instead, so that a `CONFIG` of another program is left alone; name the
trees to search with `--mdm-source`.

Solutions
---------
Write what still counts into mdm.yaml under the names that count, then move what is left of the old configuration into
the backup. Set all switches alike. Move `cache/config` away once it is certain that it is a cache only. Let code that
indexes the old `CONFIG` ask the attribute of `get_settings()` instead, or of `get_config()` where MDM
calls it so. `MDM_FORCE_NEW_CONFIG=true` helps with an MDM that has both systems and says so
with `CONFIG_TYPE`.

Findings
--------
* `old-file` (warn/note): a settings file of the old kind lies in the home; a note if nothing in it is MDM's.
* `lookalike-file` (warn): a settings file is nearly called `mdm.yaml`, and MDM does not read it.
* `other-names` (warn): a key in `mdm.yaml` has a name of the configuration system that is not in use.
* `mixed-flags` (warn): part of MDM is switched to the new code and part is not.
* `flags-off` (warn): after the migration, everything is still switched to the old code.
* `misread-flag` (warn): MDM takes something in `feature_flags.yaml` otherwise than it is written.
* `damaged-flags` (warn): MDM cannot use `feature_flags.yaml`, and everything in it counts for nothing.
* `unread-flags` (note): the installed MDM does not look at these switches.
* `stale-cache` (warn/note): there is a cached configuration; a note if `mdm.yaml` has not changed since.
* `legacy-active` (warn): the installed MDM says that it works with the old configuration.
* `legacy-code` (warn): code asks the old configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_mdm_health.checks.legacy_config_active import findings
from pytest_mdm_health.checks.legacy_config_active.look import LegacyFacts, gather
from pytest_mdm_health.core.model import Check, Finding, Kind
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.settings import Settings

CHECK = Check(
    id="legacy-config-active",
    issue="2.2",
    title="Configuration from before the migration still at work",
    per=Kind.HOME,
    tags=("configuration", "migration"),
)


def observe(
    mdm_home: Home,
    mdm_config: Settings,
    mdm_environ: Mapping[str, str],
    mdm_options: Options,
    mdm_installation: Installation | None,
) -> LegacyFacts:
    """Look for everything that an older configuration may have left."""
    return gather(mdm_home, mdm_config, mdm_environ, mdm_options, mdm_installation)


def judge(facts: LegacyFacts, before: LegacyFacts | None) -> Iterator[Finding]:  # noqa: ARG001 - told by itself
    """What is left of an older configuration: files, names, switches, caches, code."""
    yield from findings.of_files(CHECK, facts)
    yield from findings.of_names(CHECK, facts)
    yield from findings.of_flags(CHECK, facts)
    yield from findings.of_cache(CHECK, facts)
    yield from findings.of_installed(CHECK, facts)
    yield from findings.of_code(CHECK, facts)
