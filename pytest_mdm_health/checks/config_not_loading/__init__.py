"""Settings do not load, or do not have the effect that is expected of them.

Symptoms
--------
`MDMSettingsError: Failed to load configuration`, `ConfigError: Failed to load configuration from ...` or `ConfigError:
Invalid configuration`; MDM behaves as if nothing were set; an environment variable has no effect.

Causes
------
`mdm.yaml` is not valid YAML (a tab, or one colon or bracket too many or too few), is not UTF-8, or contains a value
that MDM rejects: one such value, or one empty section, and every command fails. What MDM does not reject it may ignore
silently: a misspelled key, a key in the wrong section, a variable with the wrong name.

Variables have a pitfall of their own. MDM splits what follows `MDM_` at every `_` and joins only a few groups of words
again, so `MDM_DATABASE_SQLALCHEMY_POOL_SIZE` means `database.sqlalchemy.pool.size`, which does not exist; most keys of
two words have no variable at all. A variable that names a whole section replaces it.

MDM opens its log when it starts, and ends if it may not write it.

In `paths.*` MDM expands neither `~` nor `$VARIABLE`: it uses a folder of exactly that name in the home, finds nothing
there, and reports that there are no datasets.

YAML reads some plain words and numbers as something else: `OFF`, `on`, `yes` and `no` as true or false, `012` as ten,
`1:30` as ninety.

Settings get lost in a migration: a key with another name in the new version, a variable that was set in the old shell
only, a file that was not copied. MDM then silently uses its default.

Diagnosis
---------
Read `mdm.yaml` as MDM does, then compare every key and value with MDM's own model, then list `MDM_*` and determine
which setting each of them reaches. Ask the installed MDM: `mdm.config.get_config()` or, where it exists,
`mdm.config.get_settings().model_dump_json()`.

With a baseline, every setting in effect is compared with the recorded one by its meaning: paths as seen from the home,
names of either configuration system for the same setting. Of a password, only whether it is set is recorded. With a
plan (`--mdm-expect`), the settings are compared with it; a default backend that follows from the planned backend of a
dataset counts as planned.

Solutions
---------
Correct the line in the message, or restore a copy from the backup. A file that contains zero bytes, is truncated, or
has an encoding that it does not name is restored, not repaired: its content cannot be determined. Write what no
variable can set into `mdm.yaml`. Put text that YAML would read as something else in quotes. `mdm config validate` and
`MDM_DEBUG_CONFIG=true mdm config show --sources` help where MDM has them; no released version does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_mdm_health.checks.config_not_loading.baseline import check_changes
from pytest_mdm_health.checks.config_not_loading.collect import collect
from pytest_mdm_health.checks.config_not_loading.conditions import (
    check_home,
    check_path,
    check_plan,
    check_problem,
    check_repair,
    check_runtime,
    check_variable,
)
from pytest_mdm_health.checks.config_not_loading.facts import ConfigFacts
from pytest_mdm_health.checks.config_not_loading.findings import CHECK, LOG_NOT_WRITABLE, RULES
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.settings import Settings

__all__ = ["CHECK", "RULES", "judge", "observe"]


def observe(
    mdm_home: Home,
    mdm_config: Settings,
    mdm_environ: Mapping[str, str],
    mdm_options: Options,
    mdm_installation: Installation | None,
    mdm_expected: Expected,
) -> ConfigFacts:
    """Collect what file, environment and the installed MDM say."""
    return collect(mdm_home, mdm_config, mdm_environ, mdm_options, mdm_installation, mdm_expected)


def judge(facts: ConfigFacts, baseline: ConfigFacts | None) -> Iterator[Finding]:
    """Problems of file and variables, what the installed MDM makes of both, then the plan and the baseline."""
    for problem in facts.problems:
        yield check_problem(problem, facts)
    for variable in facts.ignored:
        yield check_variable(variable)
    yield from check_home(facts)
    yield from check_repair(facts)
    if facts.log_refusal:
        folder = str(Path(facts.log_file).parent)
        yield LOG_NOT_WRITABLE(at=facts.log_file, log_file=facts.log_file, folder=folder, refusal=facts.log_refusal)
    for path in facts.literal_paths:
        yield check_path(path, facts)
    yield from check_runtime(facts)
    if facts.loads:
        for setting in facts.planned:
            yield check_plan(setting, facts)
    if baseline is not None:
        yield from check_changes(facts, baseline)
