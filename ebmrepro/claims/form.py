"""The form of reports/claims.yaml: what a claim is, what may decide it, and what is refused.

A claim is a sentence with a source and one or more tests. A test is a statistic, which gives one
number per seed, and a rule, which says what that number must be for the claim to hold. Both come
from the small vocabulary below; there is no free text to interpret. Nothing here reads a result.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from ebmrepro.config.documents import Strict, read_yaml
from ebmrepro.config.documents import rule as check
from ebmrepro.config.types import Count, Positive, PositiveFraction, Seeds, Several
from ebmrepro.metrics import catalogue
from ebmrepro.metrics.catalogue import Scale

WORDS: dict[str, Any] = read_yaml(Path(__file__).with_name("vocabulary.yaml"))
SHAPE_ONLY = "shape only"  # of what a paper prints no number for
NOT_RUN = "not run here"  # a verdict, and what is said of other results that are not there
PAPERS: dict[str, str] = WORDS["papers"]
TOPICS: dict[str, str] = WORDS["topics"]
CERTAINTY: dict[str, str] = WORDS["certainty"]
SUITES: list[str] = WORDS["suites"]
COLUMNS: list[str] = WORDS["columns"]
STAGE_SYSTEMS: list[str] = WORDS["stage_systems"]
MARKS: dict[str, str] = {verdict: mark for verdict, (mark, _) in WORDS["verdicts"].items()}

Part = Literal["all", "second half", "last quarter"]  # of the epochs of a curve


# Statistics that give one number per seed ------------------------------------------------------


class Measure(Strict):
    """A measure of a system, from its metrics.json."""

    kind: Literal["measure"]
    of: str
    measure: str


class Curve(Strict):
    """One number of a curve in a system's curves.csv; epochs in which it is blank do not count."""

    kind: Literal["curve"]
    of: str
    column: str
    take: Literal["first", "last", "mean", "lowest", "highest"]
    over: Part


class Energies(Strict):
    """Mean over images of energy ** power, from energies.npz: 2 turns a norm into a sum_sq."""

    kind: Literal["energies"]
    of: str
    images: Literal["train", "test", "generated", "noise", "shuffled", "patches"]
    power: Literal[1, 2]


class Number(Strict):
    """A number of a system's block in params.yaml, by its dotted key."""

    kind: Literal["number"]
    of: str
    key: str


class Document(Strict):
    """A value of the document of measurements of a stage that belongs to no system."""

    kind: Literal["document"]
    stage: Literal["fundamentals", "tour"]
    value: Annotated[str, Field(pattern=r"^[a-z0-9_]+(@[a-z0-9_]+)?$")]


class Spread(Strict):
    """The largest of several positive numbers over the smallest."""

    kind: Literal["spread"]
    among: Annotated[list[Scalar], Field(min_length=2)]


class Difference(Strict):
    """a - b, paired by seed."""

    kind: Literal["difference"]
    a: Scalar
    b: Scalar


class Ratio(Strict):
    """a / b, paired by seed."""

    kind: Literal["ratio"]
    a: Scalar
    b: Scalar


class Distance(Strict):
    """|log of a positive number|: how far it is from 1, on either side."""

    kind: Literal["distance from 1"]
    of_ratio: Scalar


class Correlation(Strict):
    """Spearman's rank correlation of two columns of one run, over epochs."""

    kind: Literal["correlation"]
    of: str
    x: str
    y: str
    over: Part


# Statistics of another kind --------------------------------------------------------------------


class AcrossRuns(Strict):
    """Spearman's rank correlation of two measures over all trainings of some systems."""

    kind: Literal["correlation across runs"]
    of: Annotated[list[str], Field(min_length=1)]
    x: str
    y: str


class Ordering(Strict):
    """Several numbers in a row; each step to the next is paired by seed."""

    kind: Literal["ordering"]
    steps: Annotated[list[Scalar], Field(min_length=2)]


class Pooled(Strict):
    """A share of trials that are as good as independent over seeds and within one: all together."""

    kind: Literal["pooled share"]
    of: str
    share: str  # measure
    trials: str  # measure: how many


class Lagged(Strict):
    """A column in an epoch, or some epochs before."""

    column: str
    epochs_before: Literal[0, 1]


class Condition(Strict):
    left: Lagged
    relation: Literal["<", "<="]
    right: Lagged


class NeverRises(Strict):
    law: Literal["never rises"]
    column: str
    once: str  # judged from the first epoch in which this column has a value


class StaysWithin(Strict):
    law: Literal["stays within"]
    column: str
    low: float
    high: float


class ChangesOnlyWhen(Strict):
    """The column differs from the epoch before only where all conditions hold."""

    law: Literal["changes only when"]
    column: str
    once: str
    conditions: Annotated[list[Condition], Field(min_length=1)]


class Controller(Strict):
    """Integral control: the change over an epoch is gain * steps * (target * real - fake).

    Judged in the epochs in which no step was held at a bound of the column, which `held` counts;
    `tolerance` is for what rounding adds up to. Before the first epoch the column is at `start`.
    """

    law: Literal["integral control"]
    column: str
    gain: str  # key of params.yaml
    target: str  # key of params.yaml
    real: str
    fake: str
    held: str
    start: float
    tolerance: Positive


Law = Annotated[NeverRises | StaysWithin | ChangesOnlyWhen | Controller, Field(discriminator="law")]


class EveryEpoch(Strict):
    """In how many epochs of a run its curves break a law."""

    kind: Literal["every epoch"]
    of: str
    law: Law


_Several = Spread | Difference | Ratio | Distance  # of numbers
_Scalar = Measure | Curve | Energies | Number | Document | Correlation | _Several
Scalar = Annotated[_Scalar, Field(discriminator="kind")]
Statistic = Annotated[
    _Scalar | AcrossRuns | Ordering | Pooled | EveryEpoch, Field(discriminator="kind")
]

for _model in (Spread, Difference, Ratio, Distance, Ordering):
    _model.model_rebuild(force=True)  # they name what is defined after them


# Rules -----------------------------------------------------------------------------------------


class Above(Strict):
    """The whole interval lies above."""

    kind: Literal["above"]
    threshold: float


class Below(Strict):
    kind: Literal["below"]
    threshold: float


class Within(Strict):
    """Equivalence: the whole interval lies from `low` to `high`."""

    kind: Literal["within"]
    low: float
    high: float


class Near(Strict):
    """Equivalence with a published value: the whole interval lies within `tolerance` of it."""

    kind: Literal["near"]
    value: float
    tolerance: Positive


class Monotonic(Strict):
    """Each step of an ordering goes up, or each goes down."""

    kind: Literal["rising", "falling"]


class Always(Strict):
    """No epoch of any run breaks the law."""

    kind: Literal["always"]


Rule = Annotated[Above | Below | Within | Near | Monotonic | Always, Field(discriminator="kind")]
FITS: dict[type, tuple[str, ...]] = {
    **dict.fromkeys(get_args(_Scalar), ("above", "below", "within", "near")),
    AcrossRuns: ("above", "below"),
    Pooled: ("above", "below"),
    Ordering: ("rising", "falling"),
    EveryEpoch: ("always",),
}


# Claims ----------------------------------------------------------------------------------------


class Test(Strict):
    __test__ = False  # pytest would take it for one

    statistic: Statistic
    rule: Rule
    # The same on every machine and for every seed: one value decides, and all of them must.
    deterministic: bool = False
    scale: Scale | None = None  # of the interval; None: what the statistic's kind and unit ask for
    # The smallest effect that matters, as a distance from the threshold; on the log scale a part of
    # it. An interval wholly within it is no material effect, on whichever side.
    smallest: Positive | None = None
    # Two systems that are both as good as can be are not compared: from this value on, both sides.
    ceiling: float | None = None

    @check
    def _fits(self):
        for key in ("smallest", "ceiling"):
            if getattr(self, key) is not None and not isinstance(self.rule, Above | Below):
                raise ValueError(
                    f"{key}: found beside a rule {self.rule.kind!r}; it belongs to above and below"
                )
        if self.ceiling is not None and not isinstance(self.statistic, Difference | Ratio):
            raise ValueError("ceiling: found for one number; it compares two, a and b")
        return self


class Least(Strict):
    """The least training that may decide a claim: a part of the epochs of params.yaml, or steps."""

    fraction: PositiveFraction | None = None
    steps: Count | None = None


class Changed(Strict):
    """A rule that was changed after its result had been seen."""

    on: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    why: Annotated[str, Field(min_length=1)]
    before: Annotated[str, Field(min_length=1)]  # the rule, in a line
    seen: dict[str, Seeds] = Field({})  # suite -> seeds, which no longer decide


class Published(Strict):
    value: float
    unit: str


def _printed(told: object) -> object:
    """What a paper prints, as claims.yaml says it: values, or that there are none."""
    return [] if told == SHAPE_ONLY else told


class Claim(Strict):
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    claim: Annotated[str, Field(min_length=1)]  # the sentence
    paper: Literal[*PAPERS]  # type: ignore[valid-type]
    source: Annotated[str, Field(min_length=1)]  # table, figure or section
    certainty: Literal[*CERTAINTY]  # type: ignore[valid-type]
    topic: Literal[*TOPICS] | None = None  # type: ignore[valid-type]  # of the lecture
    published: Annotated[list[Published], BeforeValidator(_printed)]  # empty: a shape alone
    suites: Annotated[list[str], Field(min_length=1)]  # that can decide it
    # Suite -> fewer never decide it; where there is none, the file's own.
    seeds: dict[str, Several] = Field({})
    least: Least | None = None  # None: of any length, for it says nothing of a trained model
    # It cannot fail without a bug: counted apart from what is found out.
    check: bool = False
    changed: Changed | None = None
    shown: str  # part of a suite's section with its figure
    note: str = ""
    tests: Annotated[list[Test], Field(min_length=1)]  # the claim holds if each of them does


class Declared(Strict):
    """What reports/claims.yaml says before its claims."""

    seeds: dict[str, Several]  # suite -> fewer never decide a claim there


def scale(statistic: object) -> Scale:
    """The scale on which a statistic spreads over seeds, by its kind and unit."""
    match statistic:
        case Ratio() | Spread():
            return "log"
        case Correlation():
            return "atanh"
        case Difference(a=a, b=b) if scale(a) == scale(b) == "logit":
            return "atanh"  # it lies from -1 to 1
        case Measure(measure=name):
            return catalogue.scale(name)
    return "linear"


# What a statistic is made of -------------------------------------------------------------------


# Keys whose values name something that must exist, and what; `x` and `y` of a run's curves.
NAMING = {"of": "of", "measure": "measure", "share": "measure", "trials": "measure"}
NAMING |= dict.fromkeys(("column", "once", "real", "fake", "held", "x", "y"), "column")


def systems(statistic: object) -> list[str]:
    """The systems whose files a statistic reads, each once."""
    return list(dict.fromkeys(name for _, key, name in names(statistic) if key == "of"))


def trained(statistic: object) -> list[str]:
    """The systems whose results a statistic reads, or whose answers on the tour, each once."""
    asked = (name for _, key, name in names(statistic) if key == "system")
    return list(dict.fromkeys([*systems(statistic), *asked]))


def stages(statistic: object) -> list[str]:
    """The documents that a statistic reads, each once."""
    return list(dict.fromkeys(s.stage for _, s in parts(statistic) if isinstance(s, Document)))


def parts(statistic: object, place: str = "") -> Iterator[tuple[str, Strict]]:
    """A statistic and all it is made of, each with its place."""
    if isinstance(statistic, list):
        for index, part in enumerate(statistic):
            yield from parts(part, f"{place}.{index}")
    elif isinstance(statistic, Strict):
        yield place, statistic
        for key in type(statistic).model_fields:
            yield from parts(getattr(statistic, key), f"{place}.{key}")


def names(statistic: object) -> Iterator[tuple[str, str, str]]:
    """(place, kind, name) of every name that must exist: `of` and `system` (of a document's value),
    `measure`, `column`, and `key` of params.yaml, with its system before it."""
    for place, part in parts(statistic):
        match part:
            case Document(stage="tour", value=value) if "@" in value:
                yield f"{place}.value", "system", value.partition("@")[2]
            case Number():
                yield f"{place}.key", "key", f"{part.of} {part.key}"
            case EveryEpoch(law=Controller() as law):
                yield f"{place}.law.gain", "key", f"{part.of} {law.gain}"
                yield f"{place}.law.target", "key", f"{part.of} {law.target}"
        for key in type(part).model_fields:
            of_measures = isinstance(part, AcrossRuns) and key in ("x", "y")
            kind = "measure" if of_measures else NAMING.get(key)
            value = getattr(part, key)
            for name in value if isinstance(value, list) else [value]:
                if kind is not None:
                    yield f"{place}.{key}", kind, name
