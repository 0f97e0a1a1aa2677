"""`python -m ebmrepro` is `ebmrepro`."""

from ebmrepro.cli import main

main()
