"""Files of JSON that stages, trainings and machines leave, as types: what each may say.

A file that says anything else is refused where it is read, in one line: file, key, found, allowed.
What is read stays the plain tree of the file.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from ebmrepro.config.documents import ParamsError, Strict, rule, shown
from ebmrepro.config.types import Count, Natural, Seed
from ebmrepro.config.validation import validate
from ebmrepro.system import reading
from ebmrepro.system.reading import Damaged

VERSION = "schema"  # the key with which a file says of which version of its form it is


def _training(words: list[Any]) -> list[Any]:
    suite, name, seed = words
    if not (isinstance(suite, str) and isinstance(name, str)):
        raise ValueError(f"found {shown(words)}; a training is a suite, a system and a seed")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ValueError(f"found seed {shown(seed)}; allowed is a whole number from 0 to 2^32 - 1")
    return words


def _moment(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("should be a date and time of ISO 8601") from None
    return text


Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]+$")]
Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}$")]
Words = dict[str, str]
Value = Annotated[float, Field(allow_inf_nan=True)] | None  # others say what is not finite
NOTHING = Field(default_factory=dict)
UNTOLD: Any = None  # of a key that may be left out and is not null
Bounds = Annotated[list[float], Field(min_length=2, max_length=2)]
Seconds = Annotated[float, Field(ge=0)]
Moment = Annotated[str, AfterValidator(_moment)]
Whose = Annotated[list[Any], Field(min_length=3, max_length=3), AfterValidator(_training)]


class Form(Strict):
    """A file of JSON, or a part of one."""

    NEWEST: ClassVar[int] = 1  # version of the form

    @classmethod
    def read(cls, path: Path) -> dict[str, Any]:
        """The file's tree.

        Raises:
            Damaged: it is not there or not JSON, or says something else.
        """
        return cls.held(reading.tree(path), path)

    @classmethod
    def held(cls, tree: Any, place: str | Path) -> dict[str, Any]:
        """The tree, which stands at `place`, if it is of this form; else as `read`."""
        if not isinstance(tree, dict):
            raise Damaged(f"{place}: found {shown(tree)}, want an object of JSON")
        said = tree.get(VERSION, cls.NEWEST)
        if said != cls.NEWEST or isinstance(said, bool):
            wanted = f"this ebmrepro reads {cls.NEWEST}"
            raise Damaged(f"{place}: {VERSION}: found {shown(said)}; {wanted}")
        try:
            validate(cls, {key: part for key, part in tree.items() if key != VERSION}, place)
        except ParamsError as error:
            raise Damaged(str(error)) from None
        return tree


class Open(Form):
    """What may say more than is read here."""

    model_config = ConfigDict(extra="allow")


# Data ------------------------------------------------------------------------------------------


class Split(Form):
    count: Count
    per_class: list[Natural]
    sha256: Hex  # of the images' bytes in C order
    labels_sha256: Hex


class Part(Form):
    """How many of how many training images there are, where a pack took a part of them."""

    run: Count
    of: Count


class Dataset(Form):
    """dataset.json"""

    source: str
    name: str
    licence: str
    citation: str
    classes: Annotated[list[str], Field(min_length=1)]
    shape: Annotated[list[Count], Field(min_length=3, max_length=3)]
    splits: dict[str, Split]
    image: dict[str, Any] | None = None
    notes: list[str] = Field(default_factory=list)
    broken: Words = NOTHING
    left_out: Words = NOTHING  # name -> why
    part: Part | None = None

    @rule
    def _classes_agree(self):
        for name, split in self.splits.items():
            if len(split.per_class) != len(self.classes) or sum(split.per_class) != split.count:
                raise ValueError(
                    f"splits.{name}.per_class: found {len(split.per_class)} counts of "
                    f"{sum(split.per_class)} images; there are {len(self.classes)} classes and "
                    f"{split.count} images"
                )
        return self


class Decoding(Form):
    """state.json beside images that are being decoded."""

    done: Natural
    broken: dict[Digits, str]  # place in the listing -> why


# Trainings -------------------------------------------------------------------------------------


class Card(Form):
    """run.json, from the training's first moment."""

    suite: str
    method: str
    seed: Seed
    fingerprint: Hex
    params: dict[str, Any]
    images: Part | None = None
    epochs: Count | None = None
    steps: Count | None = None
    parameters: dict[str, Natural] = NOTHING


class Trained(Card):
    """training.json, and run.json once the training has ended."""

    epochs: Count  # pyright: ignore
    steps: Count  # pyright: ignore
    parameters: dict[str, Natural]  # pyright: ignore


class Provenance(Form):
    """.ebmrepro/provenance/<fingerprint>.json"""

    device: str
    threads: Count
    seconds: Seconds
    images_per_second: Seconds
    started: Moment
    versions: Words
    commit: str | None
    ranks: Count = 1
    compiled: bool = False
    stage: str | None = None
    experiment: str | None = None


class About(Form):
    """about.json beside checkpoints: whose they are."""

    suite: str
    method: str
    seed: Seed
    epochs: Count
    steps: Count


class Entry(Form):
    """What one carried training ran on."""

    fingerprint: Hex
    commit: str | None
    versions: Words
    images_per_second: Seconds
    seconds: Seconds
    resumed: bool
    seconds_in_all: Seconds | None
    hardware: str
    note: str


class Carried(Form):
    """provenance.json"""

    suite: str
    trainings: dict[str, dict[Digits, Entry]]


# Measures --------------------------------------------------------------------------------------


class Epochs(Form):
    run: Natural
    of: Natural


class Budget(Form):
    epoch_fraction: float
    epochs: dict[str, Epochs] = NOTHING
    images: Part = UNTOLD


class Measures(Form):
    """A row of a table: what was measured, or why it was not."""

    version: int = Field(Form.NEWEST, alias=VERSION)
    values: dict[str, Value]
    reasons: Words = NOTHING
    flags: dict[str, str | None] = NOTHING
    protocol: Words = NOTHING


class Amount(Form):
    drawn: Natural
    of: Natural
    diverged: Natural


class Metrics(Measures):
    """metrics.json of one training."""

    suite: str
    method: str
    seed: Seed
    fingerprint: Hex
    step: Natural | None = None  # none of what is trained all at once
    budget: Budget = UNTOLD
    counts: dict[str, Amount] | None = None  # these three of EBGAN's grid
    intervals: dict[str, Bounds] | None = None
    reference: dict[str, float] | None = None


class Grid(Metrics):
    """The same of EBGAN's grid."""

    counts: dict[str, Amount]  # pyright: ignore
    intervals: dict[str, Bounds]  # pyright: ignore
    reference: dict[str, float]  # pyright: ignore


class OverSeeds(Form):
    """metrics.json of a tour or of the plane: a value by seed."""

    values: dict[str, dict[Digits, Value]]
    reasons: Words
    protocol: Words


class InInception(Form):
    sha256: Hex
    images_sha256: Hex
    split: str
    channels: Count
    images: Words
    published: Words | None = None


class Reference(Form):
    """reference.json, in reference/ and, with the data set and what was asked, in results/."""

    suite: str
    split: str
    count: Count
    extractor: str
    extractor_sha256: Hex
    second_extractor: str | None = None
    second_extractor_sha256: Hex | None = None
    fid_reason: str | None = None
    inception: InInception | None = None
    rows: dict[str, Measures] = UNTOLD
    rows_protocol: str = ""
    protocol: Words = NOTHING
    dataset: Dataset = UNTOLD
    evaluate: dict[str, Any] = UNTOLD

    @rule
    def _says_what_became_of_inception(self):
        if (self.fid_reason is None) == (self.inception is None):
            raise ValueError("fid_reason: should be there if and only if inception is not")
        return self


# Claims and sittings ---------------------------------------------------------------------------


class ClaimPart(Open):
    statistic: str
    rule: str
    estimate_in_words: str
    effect_in_words: str


class Judged(Open):
    suite: str
    verdict: str
    reason: str
    carried: str
    to_run: str
    files: list[str]  # that its numbers were read from
    parts: list[ClaimPart]


class Claim(Open):
    id: str
    claim: str
    paper: str
    paper_title: str
    published_in_words: str
    judgements: Annotated[list[Judged], Field(min_length=1)]


class Claims(Form):
    """claims.json"""

    NEWEST = 2

    level: float
    count: dict[str, Any]
    claims: list[Claim]


class Record(Open):
    """A record in the archive of an offloaded sitting: which files, and of which training."""

    files: dict[str, str]  # name -> sha256
    training: Whose | None = None
    fingerprint: Hex | None = None
    state: str | None = None

    @rule
    def _whole(self):
        if self.training is not None and (self.fingerprint is None or self.state is None):
            raise ValueError("training: found without its fingerprint and state")
        return self


class Report(Open):
    """report.json of an offloaded sitting: what became of its parts."""

    seconds: Seconds
    parts: dict[str, dict[str, Any]]


class Pack(Open):
    """pack.json of the same."""

    trainings: list[Whose]
    size: Annotated[int, Field(ge=1)]
    commit: str | None
    part: Part | None
