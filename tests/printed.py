"""What the commands of findings do: look, or change something; what none may ever contain."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from pytest_mdm_health.core.model import Finding
from tests.proven import PROVEN

BANNED = (
    (re.compile(r"(?<!\S)--force(?!\S)"), "--force: MDM removes the dataset's folder first"),
    (re.compile(r"\.recover\b"), ".recover: what it cannot read is missing in what it writes"),
    (re.compile(r"(?<!\S)-delete(?!\S)"), "find -delete"),
    (re.compile(r"(?i)\bDROP\s+(TABLE|DATABASE|SCHEMA|VIEW|COLUMN|INDEX|ROLE)\b"), "DROP"),
    (re.compile(r"(?i)\bDELETE\s+FROM\b|\bTRUNCATE\s+TABLE\b"), "removing rows"),
    (re.compile(r"(?i)\bSET\b.*\b(TRY_)?CAST\b|\bALTER\b.*\bTYPE\b"), "changing the type of values"),
    (re.compile(r"(?i)\bwal_checkpoint\b"), "a checkpoint: nothing shows that a log belongs to its file"),
)
"""Texts that no command may contain."""

_NEVER = {
    "rm": "removes",
    "rmdir": "removes",
    "shred": "removes",
    "dd": "overwrites",
    "truncate": "cuts",
    "tr": "rewrites byte by byte",
    "pkill": "ends processes by name",
    "killall": "ends processes by name",
}
"""Programs that no command may start."""

_LOOKING_WORDS = """
    [ basename od cat cd cmp column comm cut date df diff dirname dmesg du echo egrep false fgrep file
    findmnt free getent getfacl grep groups head hostname id journalctl less ls lsattr lsof md5sum mount
    namei nl pg_isready printenv printf ps pstree pwd pytest readlink realpath sha1sum sha256sum sleep
    sort ss stat strace strings tail test tree true type ulimit umask uname uniq uptime vi vmstat wc
    which whoami xxd yamllint zcat zdiff zgrep
"""
_LOOKING = frozenset(_LOOKING_WORDS.split())
_READING_SQL = re.compile(
    r"(?is)^\s*(SELECT|WITH|SHOW|DESCRIBE|EXPLAIN(?!\s+(\(.*)?ANALY)|FROM|PRAGMA\s+\w+(\(\w*\))?\s*;?\s*$|\\[dl]|\.(schema|tables|dump))\b"
)
_CHANGING_SQL = re.compile(
    r"(?i)\b(INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|TRUNCATE|GRANT|REVOKE|VACUUM|REINDEX|COPY|ATTACH|SET|RESET|ANALYZE|"
    r"REFRESH|CLUSTER|INTO|pg_terminate_backend|pg_cancel_backend|pg_reload_conf|set_config|setval|nextval|lo_\w+|"
    r"wal_checkpoint|incremental_vacuum|optimize)\b"
)
_CHANGING_PYTHON = re.compile(
    r"(?i)\b(write\w*|unlink|remove|rmtree|rename|replace_file|move|copy\w*|chmod|chown|mkdir|makedirs|touch|truncate|"
    r"symlink\w*|execute\w*|commit|system|subprocess|kill|connect)\b|open\([^)]*['\"][wax+]|journal_mode\s*="
)
_ONLY_READING_PYTHON = re.compile(r"mode=ro|read_only\s*=\s*True|READ_ONLY")
_MDM_LOOKS = (
    {"version"},
    {"info"},
    {"--help"},
    {"dataset", "list"},
    {"dataset", "info"},
    {"dataset", "search"},
    {"config", "show"},
    {"config", "validate"},
    {"storage", "test"},
    {"features", "list"},
)
_PACKAGES_LOOK = frozenset(("check", "list", "show", "freeze", "index", "tree", "--version", "download"))
_GIT_LOOKS = frozenset(("status", "diff", "log", "show", "ls-files"))
_RESERVED = frozenset(("{", "}", "!", "if", "then", "elif", "else", "fi", "while", "until", "do", "done"))
_WITHOUT_A_SHELL = frozenset(("sudo", "env", "nohup", "exec", "command", "time", "timeout", "nice"))
_TAKING_A_WORD = frozenset(("-u", "-g", "-n", "-s", "-k"))
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_ENDS_A_COMMAND = re.compile(r"[;&|()\n]+")
_IN_PLACE = re.compile(r"-[nEr]*i|--in-place=?")
_NOT_OVER = re.compile(r"-[a-zA-Z]*[ni][a-zA-Z]*$|--no-clobber$|--interactive$")
_NOWHERE = ("/dev/null", "/dev/stdout", "/dev/stderr", "&1", "&2")


def complaints(findings: Iterable[Finding]) -> Iterator[str]:
    """What is wrong with the commands of these findings, a sentence for each; `tests/proven.py` says what is proven."""
    for finding in findings:
        for command in finding.remedy.commands:
            for reason in banned(command):
                yield f"{finding.code} prints what nothing may print ({reason}): {command}"
            if changes(command) and finding.code not in PROVEN:
                yield (
                    f"{finding.code} prints a command that changes something ({changes(command)}), and no test in "
                    f"tests/proven.py is named that runs it and compares all values: {command}"
                )
        if not finding.remedy.text.strip():
            yield f"{finding.code} says nothing of what to do next"


def _set_aside(command: str) -> Iterator[str]:
    """The files that a loop of the command moves to names of their own, before others come in their place."""
    for files in re.findall(r'for f in ([^;]+); do (?:(?!done; done).)*mv -- "\$n" "\$f\.damaged\$e"', command):
        yield from shlex.split(files)


def banned(command: str) -> Iterator[str]:
    """Why a command may not be printed at all."""
    yield from (reason for pattern, reason in BANNED if pattern.search(command))
    its_own = {f"${name}" for name in re.findall(r"\b(\w+)=\$\(mktemp\b", command)}
    saved = _Saved(copied=set(_set_aside(command)))
    for words, targets in _simple_commands(command):
        program, arguments = _program(words)
        names = [each for each in arguments if not each.startswith("-")]
        if program in _NEVER and not (program == "rm" and names and set(names) <= its_own):
            yield f"{program} {_NEVER[program]}"
        if program == "kill" and not set(arguments) & {"-0", "-CONT", "-l"}:
            yield "kill: nothing in the command shows that the process is still the one that was seen"
        if program == "sed":
            yield from _in_place(arguments)
        if program in {"cp", "mv"} and names and not any(map(_NOT_OVER.match, arguments)):
            yield from saved.over(program, names[-1], into_folder=True)
        for operator, name in targets:
            if operator == ">" and not saved.noclobber:
                yield from saved.over(">", name)
        saved.note(program, arguments, names)


@dataclass
class _Saved:
    """What one command has looked at and saved so far, in the order of its parts.

    Attributes:
        copied: files of which there is another copy now.
        tested: names that the rest depends on not being there.
        noclobber: whether the shell was told to overwrite nothing, until the end of these parentheses.
    """

    copied: set[str] = field(default_factory=set)
    tested: set[str] = field(default_factory=set)
    noclobber: bool = False

    def note(self, program: str, arguments: list[str], names: list[str]) -> None:
        if program == "set" and "-C" in arguments:
            self.noclobber = True
        elif program in {"test", "["}:
            self.tested |= {name for before, name in pairwise(arguments) if before in {"-e", "-L"}}
        elif program in {"cp", "mv"}:
            self.copied |= set(names[:-1])
        elif program == "cat":
            self.copied |= set(names) if self.noclobber else set()
            self.noclobber = False

    def over(self, program: str, target: str, *, into_folder: bool = False) -> Iterator[str]:
        """What is wrong with writing there: that something is there and will be lost."""
        if target in self.copied | self.tested or not Path(target).exists():
            return
        if not (into_folder and Path(target).is_dir()):
            yield f"{program} overwrites {target}"


def _in_place(arguments: list[str]) -> Iterator[str]:
    """What is wrong with a `sed -i`: that the file of before is not kept, or an older one lost."""
    for each in filter(_IN_PLACE.match, arguments):
        kept = _IN_PLACE.sub("", each)
        if not kept:
            yield "sed -i keeps no copy of what was there"
        yield from (
            f"sed -i{kept} overwrites {name}{kept}" for name in arguments if kept and Path(name + kept).exists()
        )


def changes(command: str) -> str:
    """What in a command changes something beyond what is shown on the screen; empty if it only looks."""
    for inner in _substituted(command):
        if reason := changes(inner):
            return reason
    for words, targets in _simple_commands(command):
        if targets:
            return f"writes to {targets[0][1]}"
        program, arguments = _program(words)
        if program and not _looks(program, arguments):
            return " ".join((program, *arguments))[:60]
    return ""


def _looks(program: str, arguments: list[str]) -> bool:
    if program in {"${EDITOR:-vi}", "$EDITOR"}:  # what it changes is what its user types
        return True
    if re.fullmatch(r"python[0-9.]*", program):
        program = "python"
    rule = _RULES.get(program)
    return rule(arguments) if rule is not None else program in _LOOKING


def _find(arguments: list[str]) -> bool:
    """Whether `find` only looks, which it does also where it has files listed."""
    run = [program for option, program in pairwise(arguments) if option in {"-exec", "-execdir"}]
    acting = any(re.match(r"-(delete|ok|okdir|fprint\w*|fls)$", each) for each in arguments)
    return not acting and set(run) <= {"ls"}


def _sed(arguments: list[str]) -> bool:
    return not any(map(_IN_PLACE.match, arguments))


def _awk(arguments: list[str]) -> bool:
    return not any(word in each for each in arguments for word in ("system(", '> "', '| "'))


def _tar(arguments: list[str]) -> bool:
    return bool(arguments) and (bool(re.match(r"-?[a-zA-Z]*t[a-zA-Z]*$", arguments[0])) or "--list" in arguments)


def _unzip(arguments: list[str]) -> bool:
    return bool({"-l", "-t", "-v", "-Z", "-p"} & set(arguments))


def _gzip(arguments: list[str]) -> bool:
    return bool({"-t", "-l", "--test", "--list"} & set(arguments))


def _sql(statements: list[str]) -> bool:
    return all(_READING_SQL.match(each) and not _CHANGING_SQL.search(_without_texts(each)) for each in statements)


def _sqlite3(arguments: list[str]) -> bool:
    """Read-only only if told so: whoever opens a file for writing recovers it."""
    readonly = "-readonly" in arguments or any("mode=ro" in each for each in arguments)
    return readonly and _sql([each for each in arguments if not each.startswith("-")][1:])


def _duckdb(arguments: list[str]) -> bool:
    statements = [arguments[at + 1] for at, each in enumerate(arguments[:-1]) if each in {"-c", "-s"}]
    return "-readonly" in arguments and bool(statements) and _sql(statements)


def _psql(arguments: list[str]) -> bool:
    statements = [arguments[at + 1] for at, each in enumerate(arguments[:-1]) if each in {"-c", "--command"}]
    statements += [each.removeprefix("--command=") for each in arguments if each.startswith("--command=")]
    return (bool(statements) or "-l" in arguments) and _sql(statements) and "-f" not in arguments


def _mdm(arguments: list[str]) -> bool:
    words = [each for each in arguments if not each.startswith("-") or each == "--help"]
    return "--help" in words or any(set(words[: len(looking)]) == looking for looking in _MDM_LOOKS)


def _packages(arguments: list[str]) -> bool:
    return bool(arguments) and (arguments[0] in _PACKAGES_LOOK or arguments[:2] == ["install", "--dry-run"])


def _uv(arguments: list[str]) -> bool:
    return arguments[:1] == ["pip"] and _packages(arguments[1:])


def _python(arguments: list[str]) -> bool:
    arguments = [each for each in arguments if not re.fullmatch(r"-[BEIsSuO]+", each)]
    if arguments[:2] == ["-X", "importtime"]:
        arguments = arguments[2:]
    if arguments[:1] == ["-c"]:
        program = arguments[1]
        found = {match[0].lower() for match in _CHANGING_PYTHON.finditer(program)}
        harmless = {"connect", "execute"} if _ONLY_READING_PYTHON.search(program) else set()
        return not found - harmless
    if arguments[:2] == ["-m", "pip"]:
        return _packages(arguments[2:])
    if arguments[:2] == ["-m", "mdm"] or arguments[:2] == ["-m", "mdm.cli.main"]:
        return _mdm(arguments[2:])
    return arguments[:1] in ([], ["--version"], ["-V"]) or arguments[:2] in (["-m", "pytest"], ["-m", "platform"])


def _git(arguments: list[str]) -> bool:
    return bool(arguments) and arguments[0] in _GIT_LOOKS


def _kill(arguments: list[str]) -> bool:
    return bool({"-0", "-l"} & set(arguments))


def _script(arguments: list[str]) -> bool:
    return "--dry-run" in arguments


_RULES: dict[str, Callable[[list[str]], bool]] = {
    "find": _find,
    "sed": _sed,
    "awk": _awk,
    "tar": _tar,
    "unzip": _unzip,
    "gzip": _gzip,
    "sqlite3": _sqlite3,
    "duckdb": _duckdb,
    "psql": _psql,
    "mdm": _mdm,
    "pip": _packages,
    "uv": _uv,
    "python": _python,
    "git": _git,
    "kill": _kill,
    "set": lambda arguments: arguments == ["-C"],
    "exit": lambda _: True,
    "systemctl": lambda arguments: arguments[:1] == ["status"],
    "backup_mdm_state.sh": _script,
}


def _without_texts(statement: str) -> str:
    """SQL without what is in quotes: names and texts."""
    return re.sub(r"'[^']*'|\"[^\"]*\"", "''", statement)


def _program(words: list[str]) -> tuple[str, list[str]]:
    """The program's name without its folder, and its arguments; empty for an assignment alone."""
    rest = list(words)
    if rest[:1] == ["for"]:  # for NAME in WORDS
        return "", []
    while rest and (_ASSIGNMENT.match(rest[0]) or rest[0] in _WITHOUT_A_SHELL | _RESERVED):
        began = rest.pop(0)
        while began in _WITHOUT_A_SHELL and rest and rest[0].startswith("-"):
            if rest.pop(0) in _TAKING_A_WORD and rest:
                rest.pop(0)
    return (rest[0].rpartition("/")[2], rest[1:]) if rest else ("", [])


def _simple_commands(command: str) -> Iterator[tuple[list[str], list[tuple[str, str]]]]:
    """The simple commands of which one is made, each with where it is sent: the operator and the file."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    words: list[str] = []
    targets: list[tuple[str, str]] = []
    tokens = iter(lexer)
    for token in tokens:
        if _ENDS_A_COMMAND.fullmatch(token):
            yield words, targets
            words, targets = [], []
        elif token.strip("<>&|") == "" and set(token) & {"<", ">"}:
            if words and words[-1].isdigit():  # the number of what is sent there
                words.pop()
            target = next(tokens, "")
            if ">" in token and target not in _NOWHERE and not (token.endswith("&") and target.isdigit()):
                targets.append((token, target))
        else:
            words.append(token)
    yield words, targets


def _substituted(command: str) -> Iterator[str]:
    """The commands whose output is put into this one."""
    live = re.sub(r"\"'\"|'[^']*'", "", command)  # shlex.quote writes a single quote as `"'"` between quoted parts
    for pair in re.findall(r"\$\(([^()]*)\)|`([^`]*)`", live):
        yield pair[0] or pair[1]
