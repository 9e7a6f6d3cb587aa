"""Commands that repair a registration. Each keeps what it changes beside it, under a name that MDM does not read."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
import sys

KEPT = ".before"
PYTHON = shlex.quote(sys.executable or "python3")  # it runs this, so it has PyYAML
_TO_JSON = (
    "import json, sys, yaml; yaml_file, json_file = sys.argv[1:]; "
    "json.dump(yaml.safe_load(open(yaml_file, encoding='utf-8')), open(json_file, 'w'), indent=2, default=str)"
)
_AS_ITS_OWN = (
    "import json, sys; yaml_file, json_file, name, path = sys.argv[1:]; "
    "data = json.load(open(json_file, encoding='utf-8')); data['name'] = name; "
    "(data.get('database') or data)['path'] = path; text = json.dumps(data, indent=2); "
    "open(yaml_file, 'x').write(text); open(json_file, 'w').write(text)"
)


def yaml_from_twin(yaml: str, twin: str, *, there: bool = True) -> tuple[str, ...]:
    """Make the YAML file from its JSON copy, which every YAML reader reads as it is."""
    keep = (f"mv -- {_quoted(yaml)} {_quoted(yaml + KEPT)}",) if there else ()
    return (*keep, f"cp -n -- {_quoted(twin)} {_quoted(yaml)}")


def made_its_own(yaml: str, twin: str, name: str, path: str) -> tuple[str, ...]:
    """Make both copies of a registration from a JSON copy that speaks of another dataset, with this name and data."""
    keep = f"cp -p -- {_quoted(twin)} {_quoted(twin + KEPT)}"
    write = f"{PYTHON} -c {_quoted(_AS_ITS_OWN)} {' '.join(map(_quoted, (yaml, twin, name, path)))}"
    return (f"{keep} && {write}",)  # the summary shows the first command only


def twin_from_yaml(yaml: str, twin: str, *, there: bool = True) -> tuple[str, ...]:
    """Write the JSON copy anew from the YAML file."""
    folder = f"mkdir -p -- {_quoted(posixpath.dirname(twin))}"
    keep = f"cp -p -- {_quoted(twin)} {_quoted(twin + KEPT)}" if there else folder
    return (keep, f"{PYTHON} -c {_quoted(_TO_JSON)} {_quoted(yaml)} {_quoted(twin)}")


def field_set(field: str, value: str, yaml: str, twin: str = "", *, indented: bool = True) -> tuple[str, ...]:
    """Give a field a new value where it stands on a line of its own, in the YAML file and in its JSON copy.

    The YAML file may be a JSON copy itself, as a repair leaves it.
    """
    key, new = _pattern(field), _replacement(json.dumps(value, ensure_ascii=False))  # as it is in YAML too
    block, braces = (r"\( *\)", r"\( *\)") if indented else (r"\(\)", r"\(  \)")
    in_block = rf"s#^{block}{key}:.*#\1{_replacement(field)}: {new}#"
    in_braces = rf's#^{braces}"{key}": *"[^"]*"#\1"{_replacement(field)}": {new}#'
    commands = [_sed(f"{in_block}; {in_braces}", yaml)]
    if twin:
        commands.append(_sed(rf's#"{key}": *"[^"]*"#"{_replacement(field)}": {new}#', twin))
    return tuple(commands)


def renamed(old: str, new: str) -> tuple[str, ...]:
    """Give a file another name, unless there is one of that name."""
    return (f"mv -n -- {_quoted(old)} {_quoted(new)}",)


def default_set(backend: str, settings: str, line: int) -> tuple[str, ...]:
    """Change the default backend in this line of the settings."""
    return (_sed(rf"{line}s#\(default_backend[\"']\{{0,1\}} *: *\)[^ ,}}]*#\1{backend}#", settings),)


def mdm(home: str, *words: str, **variables: str) -> str:
    """A command of MDM's on this home, with these environment variables."""
    setting = " ".join(f"{name}={_quoted(value)}" for name, value in {"MDM_HOME_DIR": home, **variables}.items())
    return f"{setting} mdm {shlex.join(words)}"


def _sed(script: str, file: str) -> str:
    return f"sed -i{KEPT} {_quoted(script)} {_quoted(file)}"


def _quoted(text: str) -> str:
    return shlex.quote(text)


def _pattern(text: str) -> str:
    return re.sub(r"([\\.*\[\]^$#])", r"\\\1", text)


def _replacement(text: str) -> str:
    return re.sub(r"([\\&#])", r"\\\1", text)
