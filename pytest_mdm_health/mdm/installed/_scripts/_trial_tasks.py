"""Run by MDM's interpreter, in a process of its own for each task: tries MDM's generator or a file of custom features.

What happens is told at once, so that whatever is known before a crash, a hang or an exit is kept. It needs nothing but
Python 3.8 and what MDM itself needs.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import inspect
import logging
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

GENERATOR = "mdm.features.generator"
BASE = "mdm.features.custom.base"
MESSAGE_LIMIT = 1000
_REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.ENOMEM)
_LONGEST_CHAIN, _LOGGED_KEPT = 20, 1000
if TYPE_CHECKING:  # Python 3.8 could not make these
    Tell = Callable[[str, Any], None]
    Operation = Callable[[Any], Any]


def abilities() -> dict[str, Any]:
    """What the installed MDM offers, and why it does not offer the rest."""
    failures = {name: _import_failure(name) for name in (GENERATOR, BASE, "mdm.features")}
    return {
        "generator": _found(GENERATOR, "FeatureGenerator") is not None,
        "base": _found(BASE, "BaseDomainFeatures") is not None,
        "decorator": _found("mdm.features", "custom_feature") is not None,
        "failures": {name: failure for name, failure in failures.items() if failure},
    }


def generate(task: Mapping[str, Any], tell: Tell) -> None:
    """Run MDM's generator on some rows."""
    frame = _frame(task)
    _listen(tell)
    generator = importlib.import_module(GENERATOR).FeatureGenerator()
    method = getattr(generator, "generate_features", None) or generator.generate
    known = {
        "dataset_name": task["dataset"],
        "column_types": {name: _column_type(word) for name, word in task["types"].items()},
        "target_column": task["target"],
        "id_columns": task["ids"],
    }
    accepted = set(inspect.signature(method).parameters)
    result = method(frame, **{name: value for name, value in known.items() if name in accepted})
    for error in getattr(generator, "get_errors", list)():
        tell("logged", str(error)[:MESSAGE_LIMIT])
    made = [str(name) for name in result.columns if name not in frame.columns]
    tell("features", made)
    tell("rows", len(result))


def load_custom(task: Mapping[str, Any], tell: Tell) -> None:
    """Load a file of custom features as MDM does, and run what it registers on some rows, if there are any."""
    _listen(tell)
    tell("stage", "import")
    spec = importlib.util.spec_from_file_location(f"custom_features_{task['dataset']}", task["file"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    base = _found(BASE, "BaseDomainFeatures")
    classes = [each for _, each in inspect.getmembers(module, inspect.isclass) if base and issubclass(each, base)]
    classes = [each for each in classes if each is not base]
    tell("classes", [each.__name__ for each in classes])
    if classes:
        tell("stage", "construct")
        chosen: Any = classes[0]
        features = chosen(task["dataset"])
        operations = dict(getattr(features, "_operation_registry", {}))
        tell("operations", [str(name) for name in operations])
        tell("stage", "operations")
        _run_operations(features, operations, task, tell)
    tell("stage", "done")


def described(error: BaseException, file: str = "") -> dict[str, Any]:
    """An exception as data: its type, its message, and the last line of a file that it went through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if file and frame.filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        lines.append(error.lineno)
    return {
        "error": type(error).__name__,
        "message": str(error)[:MESSAGE_LIMIT],
        "line": lines[-1] if lines else None,
        "missing": error.name if isinstance(error, ModuleNotFoundError) else None,
        "ends": not isinstance(error, Exception),
        "barred": next(filter(None, map(_barred, _chain(error))), ""),
    }


def _barred(error: Any) -> str:  # noqa: ANN401 - any exception
    """What only the limits of this trial may have refused; empty if the exception has another reason."""
    if hasattr(error, "barred"):
        return f"write to {error.barred}"
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        return f"do what is refused here ({type(error).__name__}: {error.strerror})"
    return ""


def _chain(error: BaseException | None) -> Iterator[Any]:
    """An exception and those that led to it."""
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _run_operations(features: object, operations: Mapping[str, Operation], task: Mapping[str, Any], tell: Tell) -> None:
    has_signal = getattr(features, "_check_feature_signal", lambda _values: True)
    for name, operation in operations.items() if task["rows"] else ():
        failure = _failure_of(operation, str(name), has_signal, task, tell)
        if failure is not None:
            tell("failed", [str(name), described(failure, task["file"])])


def _failure_of(
    operation: Operation, name: str, has_signal: Callable[[Any], bool], task: Mapping[str, Any], tell: Tell
) -> Exception | None:
    try:
        made = operation(_frame(task))
        telling = [str(each) for each, values in made.items() if has_signal(_stretched(values, task["judged"]))]
        tell("made", [name, telling])
    except Exception as error:  # noqa: BLE001 - MDM goes on too
        return error
    return None


def _import_failure(name: str) -> dict[str, Any] | None:
    try:
        importlib.import_module(name)
    except BaseException as error:  # noqa: BLE001 - whatever an import raises
        return described(error)
    return None


def _frame(task: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a data frame
    pandas = importlib.import_module("pandas")
    frame = pandas.DataFrame(task["rows"], columns=task["columns"])
    for name in task["times"]:
        frame[name] = pandas.to_datetime(frame[name], errors="coerce")
    return frame


def _stretched(values: Any, length: int) -> Any:  # noqa: ANN401 - a series
    """Values over and over again, so that MDM judges them as it would judge so many rows."""
    wanted = max(length, len(values))
    times = -(-wanted // max(len(values), 1))
    if not hasattr(values, "iloc"):
        return (list(values) * times)[:wanted]
    pandas = importlib.import_module("pandas")
    return pandas.concat([values] * max(times, 1), ignore_index=True).iloc[:wanted]


def _column_type(word: str) -> Any:  # noqa: ANN401 - a member of an enumeration, where there is one
    column_type = _found("mdm.models.enums", "ColumnType")
    return column_type(word) if column_type else word


def _found(module: str, name: str) -> Any:  # noqa: ANN401 - any object at all
    try:
        return getattr(importlib.import_module(module), name, None)
    except BaseException:  # noqa: BLE001 - whatever an import raises
        return None


def _listen(tell: Tell) -> None:
    """Tell of every error that is logged, in whichever of the two ways MDM has."""
    warnings.simplefilter("ignore")
    left = iter(range(_LOGGED_KEPT))

    def logged(message: str) -> None:
        if next(left, None) is not None:
            tell("logged", message[:MESSAGE_LIMIT])

    try:
        logger = importlib.import_module("loguru").logger
    except ImportError:
        pass
    else:
        logger.remove()
        logger.add(lambda text: logged(text.record["message"]), level="ERROR", catch=True)

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged(record.getMessage())

    handler = Handler()
    handler.setLevel(logging.ERROR)
    logging.getLogger().addHandler(handler)
