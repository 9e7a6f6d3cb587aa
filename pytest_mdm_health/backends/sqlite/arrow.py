"""A SQLite file by SQLite's ADBC driver: rows come as Arrow arrays, without an object of Python's for each value."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from pytest_mdm_health.backends.sqlite.open import PATIENCE_S, SETTINGS, query_failed

if TYPE_CHECKING:
    from adbc_driver_manager import AdbcConnection, AdbcStatement
    from typing_extensions import Self


class ArrowConnection:
    """A connection of the driver's to a file; it ends with the `with`."""

    def __init__(self, address: str) -> None:
        """Connect.

        Args:
            address: the file as a URI, with the way in which it is opened; see `Opened.address`.

        Raises:
            QueryFailed: it cannot be opened.
        """
        import adbc_driver_manager
        import adbc_driver_sqlite

        try:
            self._database = adbc_driver_sqlite.connect(address)
            self._connection = adbc_driver_manager.AdbcConnection(self._database)
            for setting in (*SETTINGS, f"busy_timeout={PATIENCE_S * 1000:.0f}"):
                with adbc_driver_manager.AdbcStatement(self._connection) as statement:
                    statement.set_sql_query(f"PRAGMA {setting}")
                    statement.execute_query()
        except adbc_driver_manager.Error as error:
            raise query_failed(error) from error

    def rows(self, sql: str, at_once: int) -> ArrowRows:
        """The rows of a statement, so many in one array."""
        return ArrowRows(self._connection, sql, at_once)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._database.close()


class ArrowRows:
    """The rows of a statement, which is executed each time that they are asked for."""

    def __init__(self, connection: AdbcConnection, sql: str, at_once: int) -> None:
        self._connection, self._sql, self._at_once = connection, sql, at_once
        self._statements: list[AdbcStatement] = []

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:  # noqa: ANN401 - of Arrow's protocol
        """The rows from the first one.

        Raises:
            QueryFailed: SQLite refuses the statement, or the first rows cannot be read.
        """
        import adbc_driver_manager
        from adbc_driver_sqlite import StatementOptions

        statement = adbc_driver_manager.AdbcStatement(self._connection)
        self._statements.append(statement)
        try:
            statement.set_options(**{StatementOptions.BATCH_ROWS.value: str(self._at_once)})
            statement.set_sql_query(self._sql)
            stream, _ = statement.execute_query()
            return stream.__arrow_c_stream__(requested_schema)
        except adbc_driver_manager.Error as error:
            raise query_failed(error) from error

    def release(self) -> None:
        """End what was executed; its streams have to be released before."""
        while self._statements:
            self._statements.pop().close()
