"""`python -m ebmrepro` is `ebmrepro`."""

from ebmrepro.cli import app

app()
