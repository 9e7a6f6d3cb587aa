"""How a PostgreSQL server is reached, and what to do where it is not."""
