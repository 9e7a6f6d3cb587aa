"""Which rows are read where not all are."""
