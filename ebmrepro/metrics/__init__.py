"""Measures: features -> statistics -> number, each a function of arrays."""
