"""The project's own tests use pytest's tools for testing plugins, real PostgreSQL servers and a real browser."""

pytest_plugins = ["pytester", "tests.postgres", "tests.browser"]
