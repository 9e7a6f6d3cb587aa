"""Digests of whole tables."""
