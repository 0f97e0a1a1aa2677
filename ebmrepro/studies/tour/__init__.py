"""Five questions that one energy can answer, put to every trained system of a suite.

Decision, ranking, detection, conditional density and generation need nothing but energies up to a
constant (and, some of them, a gradient): no partition function. Each question is a file whose class
prepares what all systems are asked, and asks one trained model what it can answer: labels need
`joint_free_energy`, projection needs `reconstruct`, clamped sampling needs `complete`.

`write` leaves results/<suite>/tour/: metrics.json, tour.npz (what the report draws), PNG grids. The
names in metrics.json are those of protocol.yaml.
"""

from ebmrepro.studies.tour.ask import write

__all__ = ["write"]
