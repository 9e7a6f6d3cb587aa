"""Settings do not load, or do not do what they say.

Symptoms
--------
`MDMSettingsError: Failed to load configuration`, `ConfigError: Failed to load configuration from ...` or `ConfigError:
Invalid configuration`; MDM works as if nothing had been set; an environment variable makes no difference.

Causes
------
`mdm.yaml` is no YAML (a tab, a colon or bracket too many or too few), is not UTF-8, or holds a value that MDM refuses:
one such value, or one section with nothing below it, and every command ends. What MDM does not refuse it may ignore: a
key with a slip of the pen, a key below the wrong section, a variable of the wrong name. It does so without a word.

Variables are a trap of their own. MDM splits what follows `MDM_` at every `_` and joins only a few groups of words
again, so `MDM_DATABASE_SQLALCHEMY_POOL_SIZE` speaks of `database.sqlalchemy.pool.size`, which does not exist; for
most keys of two words there is no variable at all. A variable that names a whole section replaces it.

In `paths.*` MDM expands neither `~` nor `$VARIABLE`: it looks in a folder of that very name below the home, finds
nothing there, and says that there are no datasets.

YAML reads some plain words and numbers as something else: `OFF`, `on`, `yes` and `no` as true or false, `012` as ten,
`1:30` as ninety.

In a migration settings get lost: a key that the new version calls otherwise, a variable that was set in the old shell
only, a file that was not taken along. MDM then goes on with its default, and says nothing.

Diagnosis
---------
Read `mdm.yaml` as MDM does, then compare every key and value with MDM's own model, then list `MDM_*` and see where each
of them ends up. Ask the installed MDM: `mdm.config.get_config()` or, where there is one,
`mdm.config.get_settings().model_dump_json()`.

With a baseline, compare every setting in force with the one that was, by what it means: paths as seen from the home,
names of either configuration system for the same setting. Of a password only whether it is set is recorded. With a plan
(`--mdm-expect`), hold the settings against it; a default backend that the plan of some dataset takes counts as planned.

Solutions
---------
Correct the line that is named, or put back a copy from the backup. A file that is zeros, cut, or in an encoding that
nothing names is restored, not repaired: what was there cannot be told from it. Write what no variable can set into
`mdm.yaml`. Put text that YAML would read as something else in quotes. `mdm config validate` and
`MDM_DEBUG_CONFIG=true mdm config show --sources` help where MDM has them; no released version does.

Findings
--------
* `syntax` (fail): the file is no YAML that MDM can read.
* `merge-conflict` (fail/warn): a merge left its marks in the file; a warning if it can be read all the same.
* `odd-character` (warn): the file holds a character that is not seen, such as a no-break space.
* `missing-blank` (warn): a key is not followed by a blank after its colon, so YAML takes the line for text.
* `unreasonable` (fail): the file is too large, too deeply nested or too much repeated to be settings.
* `encoding` (fail): the file is not UTF-8, or holds characters that YAML forbids.
* `unreadable` (fail/warn): no file that can be read stands at its place; a warning for a link that leads nowhere, which
  MDM takes for no file.
* `not-a-mapping` (fail): the file holds something else than sections with keys and values.
* `odd-key` (fail/warn): a key is no text; MDM ends with an error at the top of the file and ignores it elsewhere.
* `duplicate-key` (warn): a key is there twice, and MDM silently takes the last.
* `unknown-key` (warn): MDM has no such key and ignores it.
* `refused-value` (fail): MDM refuses a value, and with it all settings.
* `refused-variable` (fail): MDM refuses what a variable sets, and with it all settings.
* `read-otherwise` (warn): MDM takes a value for something else than what is written.
* `ignored-variable` (warn/note): a variable sets nothing; a note if it resembles no setting, so may not be MDM's.
* `home-variable` (warn): `MDM_HOME_DIR` means another folder to MDM than to the one who set it.
* `other-home` (note): `MDM_HOME_DIR` names another home than the one that is examined.
* `unexpanded-path` (fail/warn): a path has `~`, a variable or the form of Windows, MDM takes it literally, and the
  folder of that very name is not there; a warning if it is there and empty, and for `logging.file`.
* `defaults-in-force` (warn/note): there is no settings file, or it says nothing; a warning if a copy among the backups
  has settings.
* `not-effective` (warn): the installed MDM works with another value than the one that is set.
* `mdm-refuses` (fail): the installed MDM does not load the settings, for a reason of its own.
* `other-default` (note): the installed MDM has other defaults than the released versions.
* `reverted` (warn): a setting that was set in the baseline has its default now.
* `changed-setting` (note): a setting was given another value since the baseline.
* `changed-default` (note): MDM's own defaults are not those of the baseline.
* `points-back` (warn): the home was moved, and a path in the settings leads to where it was.
* `as-planned` (note): a setting has the value that is planned for it.
* `not-done` (fail): a setting does not have the value that is planned for it.
* `unplanned-setting` (fail): there is a plan, and a setting changed that is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_mdm_health.checks.config_not_loading import findings
from pytest_mdm_health.checks.config_not_loading.change_findings import of_changes, of_plan
from pytest_mdm_health.checks.config_not_loading.facts import ConfigFacts, gather
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Check, Finding, Kind
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.settings import Settings

CHECK = Check(
    id="config-not-loading",
    issue="2.1",
    title="Configuration that does not load or does not apply",
    per=Kind.HOME,
    tags=("configuration",),
)


def observe(
    mdm_home: Home,
    mdm_config: Settings,
    mdm_environ: Mapping[str, str],
    mdm_options: Options,
    mdm_installation: Installation | None,
    mdm_expected: Expected,
) -> ConfigFacts:
    """Put together what file, environment and installed MDM say."""
    return gather(mdm_home, mdm_config, mdm_environ, mdm_options.backup, mdm_installation, mdm_expected)


def judge(facts: ConfigFacts, before: ConfigFacts | None) -> Iterator[Finding]:
    """What is wrong with file, variables and what the installed MDM makes of both; then what was not so before."""
    yield from findings.of_problems(CHECK, facts)
    yield from findings.of_variables(CHECK, facts)
    yield from findings.of_home(CHECK, facts)
    yield from findings.of_paths(CHECK, facts)
    yield from findings.of_the_installed(CHECK, facts)
    yield from of_plan(CHECK, facts)
    if before is not None:
        yield from of_changes(CHECK, facts, before)
