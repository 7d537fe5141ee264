"""Composition root: a configuration becomes objects (parts), objects become tasks (server). No logic here."""
