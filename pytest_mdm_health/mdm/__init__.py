"""What is known of MDM: its home, settings, registrations, logs, backups, interpreter and processes.

Nothing here imports the user's `mdm`; it is read from its files or asked in its own interpreter.
"""
