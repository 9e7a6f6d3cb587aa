"""The entry point: declares options and the marker; all else is loaded only when the health suite is asked for.

PYTEST_DONT_REWRITE: there is no assertion in it, and every pytest run loads it.
"""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import pytest

from pytest_mdm_health import SUITE
from pytest_mdm_health.plugin import options

if TYPE_CHECKING:
    from pytest_mdm_health.engine.run import Run
    from pytest_mdm_health.mdm.installed.installation import Installation


CACHE_WRITERS = ("lfplugin", "nfplugin", "stepwiseplugin", "stepwise")
"""pytest's own plugins that write a cache into the root folder, which may be in the home; the last up to 8.3 only."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options and their ini keys."""
    options.declare(parser)


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Print what `--mdm-list` or `--mdm-explain` asks for, which needs no home, and end."""
    try:
        listing, check = options.value_of(config, "mdm-list"), options.value_of(config, "mdm-explain")
        if not listing and check is None:
            return None
        from pytest_mdm_health.engine import documentation

        print(documentation.listing() if listing else documentation.explain(check))  # noqa: T201 - what was asked for
    except (options.UsageError, LookupError) as error:
        raise pytest.UsageError(_shown(error)) from None
    return 0


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and, if the health suite is asked for, the plugin that runs it."""
    config.addinivalue_line("markers", "mdm_health: the checks of pytest --mdm-health")
    wanted = [id_ for id_ in map(_node_id, _arguments(config)) if id_]
    try:
        if config.option.help:
            return
        if wanted or options.value_of(config, "mdm-health"):
            _activate(config, wanted)
        elif not hasattr(config, "workerinput"):
            options.refuse_without_suite(map(str, config.invocation_params.args))
    except options.UsageError as error:
        raise pytest.UsageError(_shown(error)) from None


def _activate(config: pytest.Config, wanted: list[str]) -> None:
    from pytest_mdm_health.plugin import fixtures
    from pytest_mdm_health.plugin.collection import HealthCollector
    from pytest_mdm_health.plugin.progress import progress_of
    from pytest_mdm_health.plugin.session import HealthSession

    run = _start(config)
    if not hasattr(config, "workerinput"):
        _refuse_unknown(wanted, run)
    config.args[:] = [arg for arg in _arguments(config) if not _node_id(arg)]
    config.stash[fixtures.PLAN] = run.plan
    config.pluginmanager.register(fixtures, "mdm-health-fixtures")
    config.pluginmanager.register(HealthCollector(run, wanted), "mdm-health-collector")
    config.pluginmanager.register(HealthSession(config, run), "mdm-health-session")
    if (progress := progress_of(config, run.how_far)) is not None:
        config.pluginmanager.register(progress, "mdm-health-progress")
    _keep_cache_out_of(run.plan.options.home, config)


def _refuse_unknown(wanted: list[str], run: Run) -> None:
    """Refuse a node id that is not there before any worker starts: a worker that refuses it makes xdist crash."""
    if unknown := set(wanted) - set(run.ids):
        raise options.UsageError(f"{min(unknown)}: no such check on this home; --collect-only lists what there is")


def _keep_cache_out_of(home: Path, config: pytest.Config) -> None:
    if not config.pluginmanager.has_plugin("cacheprovider"):
        return
    if (config.rootpath / config.getini("cache_dir")).resolve().is_relative_to(home.resolve()):
        for name in filter(config.pluginmanager.has_plugin, CACHE_WRITERS):
            config.pluginmanager.unregister(name=name)


def _start(config: pytest.Config) -> Run:
    from pytest_mdm_health.baseline.inputs import read_all
    from pytest_mdm_health.core.errors import UnusableFile
    from pytest_mdm_health.core.exit_codes import ExitCode
    from pytest_mdm_health.engine.plan import NoHome, NothingSelected
    from pytest_mdm_health.engine.registry import UnknownCheck
    from pytest_mdm_health.engine.run import Run
    from pytest_mdm_health.engine.sandbox import InThisProcess, SandboxError
    from pytest_mdm_health.knowledge.symptoms import UnknownSymptom
    from pytest_mdm_health.mdm.installed.interpreter import UnusableInterpreter
    from pytest_mdm_health.plugin.session import WORKER_KEY

    workerinput = getattr(config, "workerinput", {})
    try:
        given = options.read_options(config)
        here = InThisProcess() if config.getoption("usepdb", default=False) else None
        run = Run(given, workerinput[WORKER_KEY]) if workerinput else Run(given, against=read_all(given), sandbox=here)
        _ = run.plan.interpreter  # one that is unusable is refused now, and not in every check that asks it
        if given.python is not None and not workerinput and run.asks_mdm:
            _refuse_without_mdm(given.python, run.plan.installation)
    except UnusableInterpreter as error:
        raise options.UsageError(f"--mdm-python: {error}") from None
    except (UnknownCheck, UnknownSymptom, NothingSelected, NoHome) as error:
        raise options.UsageError(str(error)) from None
    except UnusableFile as error:
        pytest.exit(_shown(error), returncode=ExitCode.UNUSABLE_FILE)
    except SandboxError as error:
        pytest.exit(f"the home could not be inventoried: {_shown(error)}", returncode=ExitCode.INCONCLUSIVE)
    return run


def _refuse_without_mdm(named: str, installation: Installation | None) -> None:
    """Refuse an interpreter that answers and shows no trace of an MDM; what is wrong with a trace is a finding."""
    if installation is not None and installation.python_version and not installation.has_trace:
        raise options.UsageError(f"--mdm-python: {named} has no MDM; name the interpreter that MDM is installed in")


def _shown(error: Exception) -> str:
    """What went wrong, without the secrets that can be known before it is known what the home holds."""
    from pytest_mdm_health.redaction.redactor import redactor_without_home

    return redactor_without_home().text(str(error))


def _arguments(config: pytest.Config) -> list[str]:
    """What was given beside options; pytest does not look for it when it is asked for help."""
    return list(getattr(config.option, "file_or_dir", None) or ())


def _node_id(argument: str) -> str:
    """The node id in our suite that an argument names, also as pytest prints it below the root; else empty."""
    place, separator, name = argument.partition("::")
    return f"{SUITE}::{name}" if separator and PurePath(place).name == SUITE else ""
