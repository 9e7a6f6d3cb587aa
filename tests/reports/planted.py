"""A home with secrets in every place where MDM keeps one, and a search for them that owes the product nothing."""

from __future__ import annotations

import base64
import html
import json
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import yaml

COUNT = 51
"""Secrets that one home takes."""

_PARTS = (
    *("'", '"', "\\", "\n", "\t", "%", "%41", "&", "&amp;", "<b>", "`", "$(x)", "{", "}", ";", "@", ":", "/", "?", "#"),
    *(
        "\u202e",
        "\u200b",
        "é",
        "Ω",
        "😀",
        "漢",
        " ",
        "  ",
        "=",
        ",",
        "\\n",
        "\x07",
        "\x1b[31m",
        "\u2028",
        "|",
        "*",
        "~",
    ),
)


def random_secrets(seed: int, count: int = COUNT) -> list[str]:
    """Secrets of any characters, each with a core that nothing else has; the first two fit into a damaged file."""
    chance = random.Random(seed)  # noqa: S311 - tests want the same ones again
    first, second, *more = (_random_secret(chance) for _ in range(count))
    return [_plain(first), _plain(second), *more]


def _random_secret(chance: random.Random) -> str:
    core = "".join(chance.choices("abcdefghkmnpqrstuvwxyzABCDEFGH0123456789", k=6))
    parts = [*core[:3], *chance.choices(_PARTS, k=chance.randint(1, 6)), *core[3:]]
    chance.shuffle(parts)
    return "x" + "".join(parts) + "q"


def plant(home: Path, secrets: list[str]) -> dict[str, str]:
    """Put the secrets into the home; the rest of them is the environment that is returned."""
    given = iter(secrets)
    folder = home / "config" / "datasets"
    _plant_text(folder / "broken.yaml", f"name: broken\ndatabase: [\n  password: {next(given)}\n")
    _plant_text(folder / "planted1.yml", f'name: planted1\ndatabase:\n  password: "{next(given)}"\n')
    _plant_settings(home, given)
    for number in range(10):
        _plant_dataset(home, f"planted{number}", number, given)
    with (home / "logs" / "mdm.log").open("a", encoding="utf-8", errors="surrogatepass") as log:
        for secret in secrets:
            start = "2026-11-22 09:00:00 | ERROR | mdm.storage:connect:1 -"
            log.write(f"{start} cannot connect with {secret} to postgresql://ml:{secret}@127.0.0.1/x\n")
            log.write(f"{start} fe_sendauth: password={secret!r} for {quote(secret, safe='')}\n")
    return _variables(given)


def _plant_settings(home: Path, given: Iterator[str]) -> None:
    postgresql = {"host": "127.0.0.1", "port": 1, "user": "ml", "password": next(given)}
    settings = yaml.safe_load((home / "mdm.yaml").read_text(encoding="utf-8"))
    settings["database"] |= {"postgresql": postgresql, "postgresql_password": next(given), "password": next(given)}
    settings["database"]["connection_string"] = f"postgresql://ml:{next(given)}@127.0.0.1:1/mdm"
    settings |= {"postgresql_password": next(given), "export": {"api_key": next(given)}}
    settings["credentials"] = {"token": next(given), "more": [{"access_key": next(given)}]}
    (home / "mdm.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")


def _plant_dataset(home: Path, name: str, number: int, given: Iterator[str]) -> None:
    database: dict[str, object] = {"backend": "postgresql", "host": "127.0.0.1", "port": 1, "user": "ml"}
    database |= {"database": f"mdm_{name}"}
    first, second, third = next(given), next(given), next(given)
    fields = {**database, "password": first}
    address = {"backend": "postgresql", "connection_string": f"postgresql://ml:{quote(first, safe='')}@127.0.0.1:1/x"}
    raw = {"backend": "postgresql", "connection_string": f"postgresql://ml:{first}@127.0.0.1:1/mdm_{name}"}
    escaped = first.replace("\\", "\\\\").replace("'", "\\'")
    pairs = {"backend": "postgresql", "connection_string": f"host=127.0.0.1 port=1 user=ml password='{escaped}'"}
    form = (fields, address, raw, pairs)[number % 4]
    nested = {**form, "options": {"ssl": {"sslpassword": second}}}
    data = {"name": name, "tables": {"train": "train"}, "problem_type": None, "source": [f"https://a:{third}@b/x"]}
    _plant_text(home / "config" / "datasets" / f"{name}.yaml", yaml.safe_dump({**data, "database": nested}))
    twin = {**data, "database": {**database, "password": next(given) if number % 2 else first}}
    _plant_text(home / "datasets" / name / "dataset_info.json", json.dumps(twin, ensure_ascii=number % 3 == 0))


def _variables(given: Iterator[str]) -> dict[str, str]:
    names = ("MDM_DATABASE_POSTGRESQL_PASSWORD", "MDM_API_TOKEN", "MDM_SECRET", "PGPASSWORD", "ANY_ACCESS_KEY")
    found = {name: next(given) for name in names}
    return {**found, "MDM_DATABASE_URL": f"postgresql://ml:{next(given)}@127.0.0.1:1/x"}


def _plant_text(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _plain(secret: str) -> str:
    return "".join(char for char in secret if char.isalnum() or char in "-@%")


def leaked_in(output: Path | str, secrets: list[str]) -> list[tuple[str, str]]:
    """Which secrets stand in an output, and in which encoding."""
    found = []
    for text in _texts(output):
        readings = {text, html.unescape(text), html.unescape(html.unescape(text).replace("\\\\", "\\"))}
        for secret in secrets:
            found += [(secret, name) for name, form in _encoded(secret) if any(form in each for each in readings)]
    return found


def _texts(output: Path | str) -> Iterator[str]:
    if isinstance(output, str):
        yield output
    elif zipfile.is_zipfile(output):
        with zipfile.ZipFile(output) as archive:
            yield from (archive.read(name).decode() for name in archive.namelist())
    elif output.is_dir():
        yield from (file.read_text("utf-8", "replace") for file in output.rglob("*") if file.is_file())
    else:
        yield output.read_text("utf-8")


def _encoded(secret: str) -> Iterator[tuple[str, str]]:
    yield from (("raw", secret), ("trimmed", secret.strip()), ("url", quote(secret, safe="")))
    yield from (("url with slashes", quote(secret)), ("form", quote_plus(secret)))
    yield from (("html", html.escape(secret)), ("html text", html.escape(secret, quote=False)))
    yield from (("json", json.dumps(secret)[1:-1]), ("json text", json.dumps(secret, ensure_ascii=False)[1:-1]))
    yield from (("repr", repr(secret)[1:-1]), ("ascii", ascii(secret)[1:-1]))
    yield from (("base64", base64.b64encode(secret.encode()).decode().rstrip("=")),)
    yield from (("login in base64", base64.b64encode(f"ml:{secret}".encode()).decode()[4:-4]),)
