"""What keeps secrets out of everything that is written."""
