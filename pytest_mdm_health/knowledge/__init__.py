"""What the troubleshooting guide knows: issues, messages and symptoms."""
