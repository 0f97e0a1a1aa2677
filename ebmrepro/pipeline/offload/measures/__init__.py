"""What a sitting measures before it trains: the machine, that all works on it, and how fast.

Each file is a part: a generator of cells, (name, what was found), that ends by its deadline. A cell
that fails says why, and the next is measured.
"""
