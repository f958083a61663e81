"""`python -m qa` is `kbqa`."""

from qa.cli import program

program()
