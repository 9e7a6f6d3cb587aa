"""How a PostgreSQL server is reached, and what to do when it is not."""
