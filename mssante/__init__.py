"""mssante: an MSSanté operator. The map of this package is in docs/architecture.md."""

__version__ = "0.1.0"
