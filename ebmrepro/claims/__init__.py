"""Claims of the papers and of the lecture, joined to measurements over seeds: verdicts."""
