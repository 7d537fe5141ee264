"""`python -m mssante`."""

from mssante.cli import main

main(prog_name="mssante")
