"""How fast ebmrepro is, beside its peers and beside what the machine can do: `make bench`."""
