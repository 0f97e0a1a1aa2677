"""Commands of `ebmrepro` by what they are about, a file each; cli.py puts them together."""
