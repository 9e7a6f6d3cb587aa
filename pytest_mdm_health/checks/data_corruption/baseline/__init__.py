"""A dataset's tables for a baseline that is recorded, and compared with one that is given."""
