"""A small schema with one migration, for the tests of `mssante.database`."""
