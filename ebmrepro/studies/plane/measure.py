"""Everything that the stage `fundamentals` measures, in order."""

from __future__ import annotations

from collections.abc import Callable

from ebmrepro.config.plane import Fundamentals
from ebmrepro.networks import threads
from ebmrepro.studies.plane import cost, dials, learning, sampling, train
from ebmrepro.studies.plane.energies import PlaneEnergy
from ebmrepro.studies.plane.members import Measured, Plane


def measure(asked: Fundamentals, say: Callable[[str], None]) -> Measured:
    """Train, sample, and compute Z; `say` hears which part is under way.

    The same parameters give the same values, arrays and frames; only the seconds differ. All is
    done on one thread: networks of a thousand weights gain nothing from a second.
    """
    threads.one()
    plane, out = Plane(asked), Measured()
    learning.truth(plane, out)
    trained: dict[str, PlaneEnergy] = {}
    for way, steps, training in train.ways(plane.train, plane.draws, asked):
        say(f"training, {way}")
        with out.timed(f"train {way}"):
            trained[way] = learning.follow(plane, out, way, steps, training)
    for way, energy in trained.items():
        say(f"measuring, {way}")
        with out.timed(f"measure {way}"):
            learning.fit(plane, out, way, energy)
            learning.ratios(plane, out, way, energy)
            learning.annealed(plane, out, way, energy)
    learning.summarise(plane, out)
    say("samplers")
    with out.timed("samplers"):
        sampling.error(plane, out, trained["ml"])
        sampling.steps(plane, out)
        sampling.slide(plane, out, trained["ml"])
    say("dials: gamma, margin, weight of the pulling-away term")
    dials.turn(plane, out)
    say("Z by grid and by annealed importance sampling, in more dimensions")
    cost.by_dimension(plane, out)
    return out
