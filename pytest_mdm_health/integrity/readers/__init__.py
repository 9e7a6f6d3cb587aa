"""How the rows of a table are read, by engine."""
