"""Mutation testing: `make mutants` breaks the code on purpose, a place at a time, and counts."""
