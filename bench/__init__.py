"""Repeatable measurements. Each prints a table, or with --json one JSON object."""
