"""What the operating system says: processes, locks, mounts, accounts, memory."""
