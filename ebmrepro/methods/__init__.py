"""One paper, one file. The name of a file is the name of a method everywhere."""
