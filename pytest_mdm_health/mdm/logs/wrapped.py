"""Lines of a log as something else wrote them on: containers, the journal, a terminal, an editor.

What collects a program's output puts each line into a document of its own or in front of it a time, a host and a
name. `unwrap` takes that away, so that the line is what MDM wrote. `looks_like_a_record` recognises lines of programs
that MDM is not.
"""

from __future__ import annotations

import codecs
import json
import re

_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")

_TIME = rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_PREFIXES = (
    # journald and syslog, with the short and with the full date
    re.compile(rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ [^\s:\[]+(?:\[\d+\])?: "),
    re.compile(rb"(?:<\d{1,3}>1? ?)?" + _TIME + rb" \S+ [^\s:\[]+(?:\[\d+\]:| \d+ \S+ -) "),
    # Kubernetes' files, `kubectl logs --timestamps`, and the names that docker compose puts in front
    re.compile(_TIME + rb" (?:stdout|stderr) [FP] "),
    re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d) "),
    re.compile(rb"[\w.-]{1,200}-\d+ +\| ?"),
)
_DOCUMENT = (b'{"log":', b'{"stream":', b'{"time":')
_LEVEL = re.compile(r"\b(?:trace|debug|info|notice|warn(?:ing)?|error|critical|fatal)\b", re.IGNORECASE)
_CLOCK = re.compile(r"\d\d:\d\d:\d\d|\b1\d{9}\b")
_BEGINNING = 200


def encoding_of(start: bytes) -> str:
    """The encoding of a log by its first four bytes: Windows' shells write UTF-16."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    is_zero = [byte == 0 for byte in start]
    if is_zero == [False, True, False, True]:
        return "utf-16-le"
    if is_zero == [True, False, True, False]:
        return "utf-16-be"
    return "utf-8-sig"


def unwrap(line: bytes) -> bytes:
    """What the program wrote: without colours, progress bars, and what a collector of logs put around it."""
    if b"\x1b" in line:
        line = _ESCAPE.sub(b"", line)
    if b"\r" in line:
        line = line.rstrip(b"\r").rpartition(b"\r")[2]  # a progress bar was drawn over itself, and then the line came
    if line.startswith(_DOCUMENT):
        return _text_of_document(line)
    for prefix in _PREFIXES:
        match = prefix.match(line)
        if match:
            return line[match.end() :]
    return line


def _text_of_document(line: bytes) -> bytes:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return line
    text = document.get("log") if isinstance(document, dict) else None
    return text.rstrip("\r\n").encode("utf-8", "surrogatepass") if isinstance(text, str) else line


def looks_like_a_record(line: str) -> bool:
    """Whether a line has a time and a level where programs put them."""
    beginning = line[:_BEGINNING]
    return bool(_CLOCK.search(beginning)) and bool(_LEVEL.search(beginning))
