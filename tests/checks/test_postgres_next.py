"""What is to be done about a server that cannot be used fits what keeps us from it, and helps."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.checks._shared.postgres.next_step import next_step
from pytest_mdm_health.checks._shared.postgres.remedies import ANSWERS, Answer
from pytest_mdm_health.checks.postgres_slowdown.facts import PostgresFacts
from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from tests.postgres import HOST, PASSWORD, USER, MakePostgresHome, Server

CHECK = "postgres-slowdown"
Examine = Callable[..., Result]
Ask = Callable[..., Finding]


WORDING = Path(__file__).parents[1] / "snapshots" / "messages" / "postgres-remedies.txt"


def test_the_wording_of_every_remedy_is_on_record() -> None:
    lines = []
    for answer in ANSWERS:
        words = " | ".join(answer.words) or "anything else"
        lines += [f"{answer.problem}: {words}", f"  next: {answer.steps.text}"]
        lines += [f"    $ {command}" for command in answer.steps.commands]
    wording = "\n".join(lines) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        WORDING.write_text(wording, encoding="utf-8")
    assert WORDING.read_text(encoding="utf-8") == wording


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{answer.problem} {' '.join(answer.words)}")
def test_every_remedy_is_the_first_that_fits_its_words(answer: Answer) -> None:
    facts = PostgresFacts(examined=1, server="s:1", host="s", port=1, login="ml")
    for word in answer.words or ("something unknown",):
        remedy = next_step(facts, answer.problem, word.upper(), None)
        assert remedy.text.startswith(answer.steps.text.partition("{")[0])
        assert "{" not in remedy.text


@pytest.fixture
def unreachable(examine: Examine, make_postgres_home: MakePostgresHome) -> Ask:
    """The one failure of a server for a home that goes there in a certain way."""

    def ask(server: Server, **login: object) -> Finding:
        way = {"host": HOST, "port": server.port, "user": USER, "password": PASSWORD, "sslmode": "prefer"} | login
        home = make_postgres_home(server, {"postgresql": way}, shop=way)
        result = examine(CHECK, home, server=f"{way['host']}:{way['port']}")
        (finding,) = result.findings
        assert (finding.code, finding.severity) == (f"{CHECK}.unreachable", Severity.FAIL)
        assert PASSWORD not in repr(result)
        assert not way["password"] or str(way["password"]) not in repr(result)
        return finding

    return ask


@pytest.fixture
def shop(postgres: Server) -> Server:
    postgres.add_database("mdm_shop", "CREATE TABLE train AS SELECT 1 AS id", "ANALYZE train", owner=USER)
    return postgres


def enter(server: Server, user: str = USER, database: str = "postgres") -> str:
    return f"psql -h {HOST} -p {server.port} -U {user} -d {database} -c 'SELECT 1'"


def test_a_wrong_password_is_corrected_and_tried_unwritten(shop: Server, unreachable: Ask, tmp_path: Path) -> None:
    remedy = unreachable(shop, password="not-the-password").remedy
    home = tmp_path / "home"
    for place in (f"{home}/mdm.yaml, line 5", f"{home}/config/datasets/shop.yaml, line 5"):
        assert place in remedy.text
    assert f"{home}/datasets/shop/dataset_info.json" in remedy.text
    assert remedy.commands == (enter(shop),)
    shop.follow(remedy.commands[0])  # with the right one


def test_a_password_that_is_nowhere_set_is_asked_for(shop: Server, unreachable: Ask) -> None:
    remedy = unreachable(shop, password=None).remedy
    assert "none is set: write it as `password`" in remedy.text
    assert remedy.commands == (enter(shop),)


def test_encryption_that_the_server_lacks_is_not_asked_for(shop: Server, unreachable: Ask, tmp_path: Path) -> None:
    remedy = unreachable(shop, sslmode="require").remedy
    assert "sslmode `require` makes it mandatory" in remedy.text
    assert f"{tmp_path}/home/mdm.yaml, line 7" in remedy.text
    assert remedy.commands[0] == enter(shop)
    shop.follow(remedy.commands[0])
    assert shop.follow(remedy.commands[1]).stdout.split()[2] == "off"


@pytest.mark.parametrize(
    ("problem", "said", "advice", "command"),
    [
        (
            "refused",
            'root certificate file "/home/ml/.postgresql/root.crt" does not exist',
            "certificate files",
            "PGSSLMODE=require psql",
        ),
        ("refused", 'invalid sslmode value: "requird"', "verify-ca or verify-full", "psql"),
        ("refused", "Passwort-Authentifizierung fehlgeschlagen", "user, password and sslmode", "psql"),
        ("refused", 'Peer authentication failed for user "ml"', "operating system's user", "psql"),
        ("away", "connection timeout expired", "firewall", "pg_isready"),
    ],
)
def test_other_refusals_get_the_answer_that_fits_them(problem: str, said: str, advice: str, command: str) -> None:
    facts = PostgresFacts(examined=1, server="s:1", host="s", port=1, login="ml")
    remedy = next_step(facts, problem, said, None)
    assert advice in remedy.text
    assert remedy.commands[0].startswith(f"{command} -h s -p 1")


@pytest.mark.parametrize("problem", ["away", "dropped"])
def test_a_pooler_without_its_server_is_not_asked_to_be_ready(problem: str) -> None:
    facts = PostgresFacts(examined=1, server="s:1", host="s", port=1, login="ml")
    remedy = next_step(facts, problem, "server login has been failing, cached error: connect failed", None)
    assert "the server behind it" in remedy.text
    assert remedy.commands == ()


def test_one_refused_login_among_others_gets_its_own_answer(
    shop: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    shop.add_database("mdm_other", owner=USER)
    home = make_postgres_home(shop, other={"sslmode": "requird"})
    (finding,) = examine(CHECK, home, server=shop.name).findings
    assert finding.code == f"{CHECK}.login-refused"
    assert f"Set sslmode where it is set ({home}/config/datasets/other.yaml, line 7; " in finding.remedy.text
    shop.follow(finding.remedy.commands[0])


ROLES = "SELECT rolname, rolcanlogin, rolconnlimit, rolsuper FROM pg_roles ORDER BY 1"
DATABASES = "SELECT datname, datallowconn, datconnlimit, datacl::text FROM pg_database ORDER BY 1"


@pytest.fixture
def looked(shop: Server) -> Callable[[Finding], str]:
    """Run what a finding prints; roles, rights, limits and settings of the server stay what they are."""

    def run(finding: Finding, server: Server = shop) -> str:
        def state() -> object:
            return [server.run(each, database="template1") for each in (ROLES, DATABASES, "SHOW ALL")]

        before = state()
        assert finding.remedy.commands
        said = "\n".join(server.follow(command).stdout for command in finding.remedy.commands)
        assert state() == before
        return said

    return run


Looked = Callable[..., str]


def test_a_missing_role_is_looked_for_among_existing_ones(shop: Server, unreachable: Ask, looked: Looked) -> None:
    finding = unreachable(shop, user="ghost")
    assert "has no role ghost" in finding.remedy.text
    assert USER in looked(finding)


def test_a_role_without_login_is_a_question_to_the_administrator(
    shop: Server, unreachable: Ask, looked: Looked
) -> None:
    shop.add_user("sleeper")
    shop.run("ALTER ROLE sleeper NOLOGIN")
    finding = unreachable(shop, user="sleeper")
    assert "ALTER ROLE ... LOGIN" in finding.remedy.text
    assert "sleeper" not in looked(finding)


def test_a_missing_hba_entry_is_added_by_an_administrator(shop: Server, unreachable: Ask) -> None:
    shop.run("CREATE ROLE stranger LOGIN")
    remedy = unreachable(shop, user="stranger").remedy
    assert (
        "let an administrator add a line for stranger, mdm_shop and this machine's address to pg_hba.conf"
        in remedy.text
    )
    assert remedy.commands[0] == f"PGSSLMODE=require {enter(shop, 'stranger', 'mdm_shop')}"
    assert "pg_hba.conf" in shop.follow(remedy.commands[1]).stdout


def test_a_missing_right_is_granted_by_the_administrator(
    shop: Server, unreachable: Ask, examine: Examine, tmp_path: Path, looked: Looked
) -> None:
    names = ("postgres", "mdm_shop")
    shop.add_user("guest")
    shop.run(*(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC" for name in names))
    try:
        finding = unreachable(shop, user="guest")
        assert "whether guest should use the database" in finding.remedy.text
        assert "mdm_shop" in looked(finding)
        shop.run("GRANT CONNECT ON DATABASE postgres TO guest", "GRANT CONNECT ON DATABASE mdm_shop TO guest")
        remaining = {each.code for each in examine(CHECK, tmp_path / "home", server=shop.name).findings}
        assert f"{CHECK}.no-privilege" in remaining, "it may connect, and not read yet"
        assert not remaining & {f"{CHECK}.unreachable", f"{CHECK}.login-refused"}
    finally:
        shop.run("GRANT CONNECT ON DATABASE postgres TO PUBLIC", "DROP DATABASE mdm_shop")


def test_missing_databases_are_looked_for_and_not_created_empty(
    own_postgres: Server, unreachable: Ask, looked: Looked
) -> None:
    own_postgres.start()
    own_postgres.run("DROP DATABASE postgres", database="template1")
    finding = unreachable(own_postgres)
    assert finding.evidence == {"why": "no-database"}
    assert "template1" in looked(finding, own_postgres)
    assert "an empty database of that name would hide that its data is lost" in finding.remedy.text


@pytest.mark.parametrize(("others", "more"), [(["wine"], ""), (["wine", "xylo"], "; and 2 more places")])
def test_a_server_in_registrations_is_corrected_in_all_of_them(
    shop: Server, make_postgres_home: MakePostgresHome, examine: Examine, others: list[str], more: str
) -> None:
    with socket.socket() as nobody:
        nobody.bind((HOST, 0))
        wrong = {"port": nobody.getsockname()[1]}
        home = make_postgres_home(shop, None, shop=wrong, **dict.fromkeys(others, wrong))
        (finding,) = examine(CHECK, home, server=f"{HOST}:{wrong['port']}").findings
    files = [
        f"{home}/{file}"
        for name in ("shop", "wine")
        for file in (f"config/datasets/{name}.yaml, line 4", f"datasets/{name}/dataset_info.json")
    ]
    assert f"host and port where it is set ({'; '.join(files)}{more})." in finding.remedy.text


def test_another_service_that_answers_is_no_refusing_server(shop: Server, unreachable: Ask) -> None:
    with socket.create_server((HOST, 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    client.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        finding = unreachable(shop, port=listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert finding.evidence == {"why": "foreign"}
    assert "the server is no PostgreSQL server: " in finding.message
    assert finding.remedy.text.startswith("Another program answers there: correct host and port where it is set (")


def test_a_host_that_nobody_knows_is_looked_up(own_postgres: Server, unreachable: Ask, tmp_path: Path) -> None:
    own_postgres.start()
    remedy = unreachable(own_postgres, host="no-such-host.invalid").remedy
    assert (
        f"The host name no-such-host.invalid has no address: correct the host where it is set ({tmp_path}"
        in remedy.text
    )
    assert remedy.commands == ("getent hosts -- no-such-host.invalid",)


def test_a_full_server_is_asked_by_an_administrator_who_holds_it(own_postgres: Server, unreachable: Ask) -> None:
    own_postgres.start(max_connections="4", superuser_reserved_connections="1")
    own_postgres.add_database("mdm_shop", owner=USER)
    with contextlib.ExitStack() as held:
        for _ in range(3):
            held.enter_context(contextlib.closing(own_postgres.connect("mdm_shop", USER, application="hoarder")))
        (command,) = unreachable(own_postgres).remedy.commands
        assert "hoarder" in own_postgres.follow(command).stdout


@pytest.mark.parametrize(("what", "name"), [("ROLE", USER), ("DATABASE", "postgres")])
def test_a_connection_limit_stays_until_it_is_raised(
    own_postgres: Server, unreachable: Ask, examine: Examine, tmp_path: Path, what: str, name: str, looked: Looked
) -> None:
    own_postgres.start()
    own_postgres.run(f"ALTER {what} {name} CONNECTION LIMIT 0")
    finding = unreachable(own_postgres)
    assert finding.evidence == {"why": "full"}
    assert f"ALTER {what} ... CONNECTION LIMIT" in finding.remedy.text
    assert name in looked(finding, own_postgres)
    own_postgres.run(f"ALTER {what} {name} CONNECTION LIMIT -1")
    assert examine(CHECK, tmp_path / "home", server=own_postgres.name).status is Status.PASS


def test_a_wrong_password_for_a_pooler_is_tried_with_psql(
    shop: Server, unreachable: Ask, pgbouncer: Callable[[Server], int]
) -> None:
    port = pgbouncer(shop)
    (command,) = unreachable(shop, port=port, password="not-the-password").remedy.commands
    shop.follow(command)
