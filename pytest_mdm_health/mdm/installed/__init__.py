"""The MDM that is installed: its interpreter, packages, commands and code."""
