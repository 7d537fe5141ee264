"""Composition root: a role becomes objects, objects become one TaskGroup. No logic here."""
