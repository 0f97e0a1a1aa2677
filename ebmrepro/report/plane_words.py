"""What the section on the plane says, for a reader who meets energies for the first time."""

from __future__ import annotations

from ebmrepro.report.blocks import Cell

TITLE = "The plane: energies one can see"
ABSENT = "The stage fundamentals has left nothing here yet: make repro runs it."
OPENING = (
    "An image is a point in a space of many dimensions, where nobody sees an energy and nobody "
    "can compute its normaliser Z. Here points have two coordinates. The energy is a landscape "
    "that can be drawn, and Z, likelihoods and divergences are sums over a fine grid, exact to "
    "several digits. Small networks with random weights learn four densities, from several "
    "seeds, in three ways; the density of an energy is p(x) = exp(−E(x)) / Z. Beyond a square "
    "the energy has walls, without which Z would be infinite. All three ways push the energy "
    "down at the data and up elsewhere; they differ in where elsewhere is:"
)
WAYS = (
    "Contrastive divergence pushes up at the ends of Langevin chains that run on the energy "
    "itself: where the model believes points to be.",
    "Maximum likelihood pushes up everywhere, in proportion to exp(−E) / Z. That needs Z at "
    "every step, which only the plane affords.",
    "EBGAN pushes up where a generator puts its points, and only as long as their energy is "
    "under a margin. Its energy is the distance of a point from its reconstruction by an "
    "auto-encoder.",
)
SURFACES = (
    "Each picture shows the square from −3 to 3. Dark is low energy: a valley, where points are "
    "likely. From the darkest to the palest shade the energy rises by 8 nats, which makes a "
    "point 3,000 times less likely; for EBGAN by its margin, because its energies are distances "
    "between 0 and about the margin. Before training the energy hardly varies: in a cut it would "
    "be a line."
)
TILES = {
    "true": "True density and data",
    "untrained": "Random weights",
    "cd": "Contrastive divergence",
    "ml": "Maximum likelihood",
    "ebgan": "EBGAN",
}
SHADES = (
    " Dark is low energy, where points are likely; orange dots are data (first picture), then "
    "points that Langevin moves carried along on the energy while it trained."
)
GALLERY = {
    "ring": "Equal Gaussians on a circle, as −log p (left), and the energies that networks "
    "learnt from {train:,} of its points; first seed. Is there a valley at each, and is the "
    "middle high?",
    "moons": "Two half circles that reach into each other, blurred, as −log p (left), and the "
    "energies learnt from {train:,} of its points; first seed. Does the ridge between the "
    "moons show?",
    "pinwheel": "Blades, twisted about the centre, as −log p (left), and the energies "
    "learnt from {train:,} of its points; first seed. Are the blades narrow, and do they "
    "meet in the middle?",
    "checkerboard": "Points only on every other square of a board, as −log p (left), and the "
    "energies learnt from {train:,} of its points; first seed. No smooth energy has "
    "such edges: how near does one come?",
}
ROWS = {
    "true": "true density",
    "untrained": "random weights",
    "cd": "contrastive divergence",
    "ml": "maximum likelihood",
    "ebgan": "EBGAN",
}
TRAINING = (
    "Columns are densities, rows are ways of training; time runs faster and faster, from random "
    "weights to the last step, then begins again. Dark is low energy. The orange points start "
    "anywhere and move by Langevin's rule, a step downhill and a step at random, on the energy "
    "as it is at that moment: as valleys form they slide in. EBGAN's points stay scattered "
    "although its valleys are seen: they are less than one margin deep, and to exp(−E) a depth "
    "of one nat is shallow."
)
DIVERGENCE = (
    "How far the model's density exp(−E) / Z is from the true one while the energy trains: the "
    "Kullback-Leibler divergence, 0 when both agree, computed on a grid. Lines are means over "
    "seeds, bands reach from the lowest to the highest seed. Maximum likelihood descends this "
    "very number; contrastive divergence descends it roughly; EBGAN does not aim at it."
)
LIKELIHOOD = (
    "Mean over seeds with its 95 % interval. Log-likelihood: of points that were not trained on; "
    "the true density's own is the best that can be had. KL: 0 when model and data agree. "
    "EBGAN's energy is in no unit of its own, so its KL is also given for exp(−E / T) with the "
    "one temperature T that suits the training points best. log Z is by the midpoint rule on the "
    "grid. The spread of the energy within the walls says how flat random weights are against "
    "trained ones. The error of log Z is its change when the grid has half as many points per "
    "axis."
)
RATIO = (
    "How much likelier is x than x′? log p(x)/p(x′) = E(x′) − E(x): Z stands in both and "
    "cancels. The first column compares that with the difference of log p(x) and log p(x′), both "
    "normalised on the grid; the second adds a constant to the energy everywhere. Both are 0 up "
    "to the rounding of a computer. The others say how right the ratio is: half of all pairs of "
    "held-out points have an error in log p(x)/p(x′) under the number given."
)
SLIDING = (
    "The energies learnt by maximum likelihood, fixed, with the same points from anywhere on "
    "both rows. Langevin's rule goes downhill and shakes: points spread over the whole valley, "
    "as the density does. Plain gradient descent only goes downhill: points end in a few places, "
    "the bottoms. It finds what is likeliest and tells nothing of what is likely."
)
PATHS = (
    "From each blue dot, where a point began, to the orange one, where it is after the film "
    "above. Grey lines are contours of the energy learnt by maximum likelihood, 0.5 to 12 nats "
    "above its lowest point. First by Langevin's rule, then from the same places by gradient "
    "descent."
)
STARTS = {
    ("tv", "exact"): "exact draws",
    ("tv_kept", "mala"): "MALA from exact",
    ("tv_noise", "mala"): "MALA from noise",
    ("tv_kept", "langevin"): "Langevin from exact",
    ("tv_noise", "langevin"): "Langevin from noise",
}
SAMPLER = {"langevin": "Langevin", "mala": "MALA"}
SAMPLERS = (
    "Total variation: half the summed difference between the shares of points in {bins} × {bins} "
    "bins and the exact mass of the bins; 0 is perfect, but even exact draws have chance in them "
    "(dotted, grey). First panel: chains begun at exact draws of the ring. Langevin's long steps "
    "smear the density; MALA proposes the same steps and refuses some of them, which makes up "
    "for it at every step length. Other panels: on energies learnt by maximum likelihood. Begun "
    "at exact draws, samplers stay near the floor; begun at noise they are further off, because "
    "a point that slid into the wrong valley needs long to leave it. Dots are seeds, ticks "
    "means, bars 95 % intervals."
)
STEPS = (
    "The first panel above in numbers: mean over seeds with its 95 % interval. Where long steps "
    "put Langevin off, is MALA off too, and how many of its moves does it refuse for that?"
)
COST = (
    "Why not simply compute probabilities? Because of Z. On a grid with k points per axis it "
    "takes k evaluations of the energy on a line, k² on the plane, k³ in space: k to the power "
    "of the dimension. The test case is a mixture of two Gaussians, whose Z is known in every "
    "dimension, so that every error is known too. Seconds are the machine's and not part of the "
    "results: they are in .ebmrepro/provenance/fundamentals.json."
)
COSTS = (
    "Left: evaluations of the energy that log Z takes, against the dimension; the vertical axis "
    "counts in powers of ten, so a straight line is exponential growth. Dots are counted, the "
    "dotted line goes on as the last one began. Annealed importance sampling (AIS) moves a few "
    "hundred chains from a Gaussian to the density and weighs them: its count is chosen, here "
    "the same for all dimensions. Right: what that buys. The grid's size is the smallest that "
    "keeps its promise; AIS has an error of chance that grows with the dimension, slowly. Bars "
    "are 95 % intervals over seeds."
)
COST_TABLE = (
    "Mean over seeds with its 95 % interval where there is chance. The grid has the fewest "
    "points per axis that hold log Z to the accuracy in params.yaml. The error of AIS is against "
    "the known log Z and should mostly be under half its interval. The effective share says how "
    "many of the chains carry the weight."
)
FAR = (
    "The number of points that a grid would need, with as many points per axis as {last} "
    "dimensions took."
)
PICTURED = {64: "an image of digits, 8 × 8", 784: "an image of MNIST, 28 × 28"}
ANNEALED = (
    "Annealed importance sampling against the grid on each learnt energy. Mean over seeds with "
    "its 95 % interval. Where the first difference stays within half the interval of the "
    "estimate, AIS knows what it does not know; this is how Z is estimated where no grid can go."
)
PROTOCOL = "How each number of this section was measured:"

ATOMS = 80  # log10 of the atoms of the observable universe, roughly
PER_YEAR = 9 + 7.5  # log10 of evaluations in a year at a thousand million a second


def far(power: float) -> list[Cell]:
    """10^power evaluations, as a number and as something to imagine."""
    zeros = f"1 followed by {power - PER_YEAR:.0f} zeros"
    said = f"computing a thousand million a second would take {zeros} of years"
    if power > ATOMS:
        said += (
            f"; each atom of the universe would have 1 followed by {power - ATOMS:.0f} zeros to do"
        )
    return [Cell(f"1 followed by {power:.0f} zeros"), Cell(said)]
