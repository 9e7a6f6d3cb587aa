"""The text of a YAML file that was lost, or lost its end, made of the JSON copy; nothing of either is lost.

Nothing here writes a file: a check finds out whether it can be done, and `mdm-health restore-registration` does it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pytest_mdm_health.mdm.edits import CannotEdit, yaml_text
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.registrations.json_copy import canonical, is_contained
from pytest_mdm_health.mdm.yaml_file import parse_yaml

_DATE_SIGN = re.compile(r"(?<=\d)T(?=\d|$)")  # MDM writes dates with it in the one file, with a blank in the other
_OTHER = "says something else than its JSON copy: see which of the two is right"


def restored_text(registration: Registration, content: bytes | None) -> bytes:
    """The YAML file with what its JSON copy has more.

    Args:
        registration: what is registered.
        content: of the YAML file; None if there is none.

    Raises:
        CannotEdit: the copy cannot be used, the two contradict each other, or the file lacks nothing.
    """
    copied = registration.json_copy
    if copied is None or copied.data is None or not copied.usable:
        raise CannotEdit("has no JSON copy that can be used")
    if content is None:
        return yaml_text.written(copied.data).encode()
    if registration.shape in {"pointer", "flat"}:
        raise CannotEdit("is not of the kind that has a JSON copy")
    for kept in _whole_parts(content, copied.data):
        said = _said(kept, registration)
        if said is not None and is_contained(said, copied.data):
            return _completed(kept, said, copied.data, registration)
    raise CannotEdit(_OTHER if registration.document and registration.document.usable else "is damaged not at its end")


def _whole_parts(content: bytes, copied: Mapping[str, object]) -> Iterator[bytes]:
    """The text, and the text without its last line if that broke off within a line that the copy would have."""
    yield content
    *whole, last = content.splitlines(keepends=True) or [b""]
    broken = _DATE_SIGN.sub(" ", last.decode("utf-8", "replace"))
    lines = _DATE_SIGN.sub(" ", yaml_text.written(copied)).splitlines()
    if broken.strip() and not last.endswith((b"\n", b"\r")) and any(line.startswith(broken) for line in lines):
        yield b"".join(whole)


def _said(content: bytes, registration: Registration) -> Mapping[str, object] | None:
    """What the text says; None if it cannot be read, or is not what it seems to be."""
    document = parse_yaml(content, registration.file)
    if document.problems:
        return None
    if document.data is None and not content.strip():
        return {}
    return document.data if isinstance(document.data, Mapping) else None


def _completed(
    kept: bytes, said: Mapping[str, object], copied: Mapping[str, object], registration: Registration
) -> bytes:
    """The text with the fields that it lacks; one within which it ends is written again."""
    short = [key for key, value in said.items() if not is_contained(copied.get(key), value)]
    if short:
        if short != [list(said)[-1]]:
            raise CannotEdit("lacks something in its middle: see what happened to it")
        kept = yaml_text.without(kept, short)
    lacking = {key: value for key, value in copied.items() if key not in said or key in short}
    if all(canonical(value) in (None, [], {}) for value in lacking.values()):
        raise CannotEdit("has all that its JSON copy has")
    line_end = "\r\n" if b"\r\n" in kept else "\n"
    before = kept if not kept or kept.endswith((b"\n", b"\r")) else kept + line_end.encode()
    result = before + yaml_text.written(lacking).replace("\n", line_end).encode()
    document = parse_yaml(result, registration.file)
    if document.problems or not (is_contained(copied, document.data) and is_contained(said, document.data)):
        raise CannotEdit(_OTHER)
    return result
