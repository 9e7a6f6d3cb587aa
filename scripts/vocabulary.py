"""List the words of reports, which redaction cannot distinguish from a password that is the same word.

    python scripts/vocabulary.py [--check]

They are the words of this product's texts and names and of what pytest and pytest-html write. The list is kept in the
package, so that no run has to read source code; a word too many is harmless, and one too few makes a report unusable
for a user whose password it is. `--check` changes nothing, and exits with 1 if a word is missing.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "pytest_mdm_health"
FILE = PACKAGE / "redaction" / "words.txt"
WRITERS = ("pytest_html", "_pytest.junitxml", "_pytest.terminal")
"""What else writes into files that are searched."""
SHOWN = {".html", ".jinja", ".jinja2", ".css", ".js", ".json"}
_WORD = re.compile(r"\w(?:[\w.-]*\w)?")


def words() -> set[str]:
    """All words, without those that are part of a longer one."""
    found = _words_in(PACKAGE, *map(_origin, WRITERS))
    together = "\n".join(found)
    return {word for word in found if together.count(word) == 1 or word.isdigit()}


def missing() -> list[str]:
    """Words of this product that the list in the package lacks; those of other writers depend on their version."""
    listed = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    return sorted(word for word in _words_in(PACKAGE) if word not in listed)


def _origin(name: str) -> Path:
    """The folder of a package, or the file of a module."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    origin = Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def _words_in(*places: Path) -> set[str]:
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*"))]
    texts = (text for file in files for text in _texts(file))
    return {word for text in texts for word in _WORD.findall(text) if not word.startswith("_")}


def _texts(file: Path) -> Iterator[str]:
    if file.suffix == ".py":
        yield from _strings(file)
    elif file.suffix in SHOWN:
        yield file.read_text(encoding="utf-8")


def _strings(file: Path) -> Iterator[str]:
    """The texts in a module, and the names that become keys of evidence and facts."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, int)):
            yield str(node.value)
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def main() -> int:
    """Write the list, or check it."""
    if "--check" in sys.argv[1:]:
        lacking = missing()
        print(*lacking, sep="\n")
        return int(bool(lacking))
    FILE.write_text("\n".join(sorted(words())) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
