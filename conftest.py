"""The project's own tests use pytest's tools for testing plugins, and real PostgreSQL servers."""

pytest_plugins = ["pytester", "tests.postgres"]
