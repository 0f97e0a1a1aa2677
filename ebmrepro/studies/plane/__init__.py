"""The plane: energies of two numbers, which can be seen, and whose Z can be computed."""
