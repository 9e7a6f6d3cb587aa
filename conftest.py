"""The project's own tests use pytest's tools for testing plugins."""

pytest_plugins = ["pytester"]
