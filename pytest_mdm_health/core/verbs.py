"""The verbs of `mdm-health` that repair, as data: findings name them, and only `repair/` carries them out.

Nothing here changes anything. A finding that can be repaired has a `Call` among the commands of its remedy; filled with
the values of the finding it is a `Repair`, and printed it is a command such as `mdm-health checkpoint /…/shop.sqlite`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

PROGRAM = "mdm-health"


@dataclass(frozen=True)
class Verb:
    """One thing that the repair can do.

    Attributes:
        name: as on the command line.
        does: one line, what it does.
        place: what its first argument is, such as `FILE`; always a path, relative ones being seen from where one is.
        words: what its further arguments are, such as `KEY`; one with `?` at its end may be left out.
        options: the names of its options, without the dashes, each of which takes a value and may be left out.
        undone: whether `mdm-health repair --undo` can take it back.
        order: when in a plan it is done: safety copies and permissions first, then who holds a file, then settings,
            registrations, data, features, servers, and the new backup last.
    """

    name: str
    does: str
    place: str
    words: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    undone: bool = True
    order: int = 50


VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb("back-up", "make a new archive of the whole home, and read it back", "HOME", options=("to",), order=90),
        Verb("checkpoint", "merge the log beside a database into it", "FILE", order=50),
        Verb("journal-mode", "convert a SQLite file to WAL mode", "FILE", order=55),
        Verb(
            "set-setting",
            "set, move or remove a key of mdm.yaml or feature_flags.yaml",
            "FILE",
            ("KEY", "VALUE?"),
            ("was", "remove", "instead-of"),
            order=30,
        ),
        Verb(
            "set-field",
            "set a field of a registration, in both of its copies",
            "REGISTRATION",
            ("FIELD", "VALUE?"),
            ("was",),
            order=40,
        ),
        Verb("restore-registration", "make what a registration lost of its JSON copy", "REGISTRATION", order=40),
        Verb(
            "rename-registration",
            "give a registration the name under which MDM looks for it",
            "FILE",
            ("NAME",),
            order=40,
        ),
        Verb(
            "register-again",
            "have MDM make the data of a dataset from its source once more",
            "REGISTRATION",
            options=("python", "source"),
            order=50,
        ),
        Verb(
            "prune-backups",
            "delete older archives of the home, once the newest was read back and is good",
            "FOLDER",
            options=("keep",),
            undone=False,
            order=95,
        ),
        Verb(
            "permissions",
            "let the owner read or use a file or folder (readable, usable), or no one else (private, protected)",
            "PATH",
            words=("WHAT",),
            order=10,
        ),
        Verb(
            "put-back",
            "put a file of the home, or with --table one table of it, back out of a backup",
            "FILE",
            options=("from", "table"),
            order=45,
        ),
        Verb("set-aside", "move a file, with the logs beside it, out of the home", "FILE", order=40),
        Verb("rescue", "read what can be read of a damaged SQLite file into a new one", "FILE", order=50),
        Verb(
            "convert-column",
            "give a column of a file of SQLite or DuckDB another type, if every value fits exactly",
            "FILE",
            ("TABLE", "COLUMN", "TYPE"),
            order=52,
        ),
        Verb(
            "analyze",
            "compute the planner statistics of a table on a PostgreSQL server, or of all tables of its database",
            "REGISTRATION",
            ("TABLE?",),
            ("database", "as"),
            undone=False,
            order=70,
        ),
        Verb(
            "vacuum",
            "remove the dead rows of a table on a PostgreSQL server, or without a table freeze its database",
            "REGISTRATION",
            ("TABLE?",),
            ("database", "as"),
            undone=False,
            order=70,
        ),
        Verb(
            "reindex",
            "build indexes again: of a file of SQLite or DuckDB, or one that is incomplete on a PostgreSQL server",
            "PLACE",
            ("INDEX?",),
            ("database", "as"),
            order=51,
        ),
        Verb(
            "end-session",
            "end an idle session of MDM on a PostgreSQL server, if it is still the one that began then",
            "REGISTRATION",
            ("PID", "BEGAN"),
            ("as",),
            undone=False,
            order=20,
        ),
        Verb(
            "grant",
            "let a role read a table on a PostgreSQL server",
            "REGISTRATION",
            ("TABLE", "ROLE"),
            ("database", "as"),
            undone=False,
            order=10,
        ),
    )
}
"""Every verb, by its name."""


@dataclass(frozen=True)
class Repair:
    """One call of a verb.

    Attributes:
        verb: its name, one of `VERBS`.
        place: the path that it is about, absolute.
        words: its further arguments.
        options: its options and their values.
    """

    verb: str
    place: str
    words: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    @property
    def command(self) -> str:
        """The command that does it, quoted for a POSIX shell."""
        options = (f"--{name}={value}" for name, value in self.options)
        return shlex.join((PROGRAM, self.verb, self.place, *self.words, *options))

    def option(self, name: str) -> str | None:
        """The value of an option; None if it was left out."""
        return dict(self.options).get(name)


@dataclass(frozen=True)
class Call:
    """A `Repair` as templates, for the declaration of a finding.

    Attributes:
        verb: the name of the verb.
        place: template of the path.
        words: templates of the further arguments.
        options: the options, with templates of their values.
    """

    verb: str
    place: str
    words: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        verb = VERBS.get(self.verb)
        if verb is None or not {name for name, _ in self.options} <= set(verb.options):
            raise ValueError(f"there is no verb {self.verb!r} with these options")
        least = sum(not word.endswith("?") for word in verb.words)
        if not least <= len(self.words) <= len(verb.words):
            raise ValueError(f"{self.verb} takes {verb.words}")

    @property
    def templates(self) -> tuple[str, ...]:
        """Every template in it."""
        return (self.place, *self.words, *(value for _, value in self.options))
