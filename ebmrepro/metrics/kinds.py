"""The kinds of image whose energies are measured; in words they are in `catalogue`."""

OTHERS = ("generated", "noise", "shuffled", "patches")  # held against test
KINDS = ("train", "test", *OTHERS)
