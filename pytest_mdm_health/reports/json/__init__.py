"""The JSON document: written, read and described by a schema."""
