"""Reading reports/claims.yaml: what is wrong with it is one line that names file, claim and key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ebmrepro.claims import form
from ebmrepro.claims.form import Claim, Declared
from ebmrepro.config import declarations, params, training
from ebmrepro.config.documents import ParamsError, known, nearest, read_yaml
from ebmrepro.config.params import Params
from ebmrepro.config.validation import validate
from ebmrepro.metrics import catalogue

FILE = Path("reports/claims.yaml")


def load(settings: Params, path: Path = FILE) -> list[Claim]:
    """Read and check the whole file.

    Raises:
        ParamsError: the file is missing, is not YAML 1.2, or holds what is not allowed.
    """
    tree = read_yaml(path)
    if set(tree) != {"seeds", "claims"} or not isinstance(tree["claims"], list):
        raise ParamsError(f"{path}: found {', '.join(tree)}; `seeds` and a list `claims` are all")
    declared = validate(Declared, {"seeds": tree["seeds"]}, path).seeds
    for suite in declared:
        known(suite, _suites(settings), f"{path}: seeds", "suite")
    claims = []
    for number, item in enumerate(tree["claims"], 1):
        name = item.get("id") if isinstance(item, Mapping) else None
        place = name if isinstance(name, str) else f"claim {number}"
        claims.append(validate(Claim, item, path, (place,)))
    for name, times in Counter(claim.id for claim in claims).items():
        if times > 1:
            raise ParamsError(f"{path}: {name}.id: found {times} claims of this id, ids are unique")
    for claim in claims:
        _check(claim, settings, f"{path}: {claim.id}.")
    return [_with_seeds(claim, declared, path) for claim in claims]


def _with_seeds(claim: Claim, declared: Mapping[str, int], path: Path) -> Claim:
    """The claim with its own number of seeds for each suite, or the file's."""
    seeds = {**declared, **claim.seeds}
    if lacking := [suite for suite in claim.suites if suite not in seeds]:
        raise ParamsError(f"{path}: seeds: found none for {lacking[0]}, which {claim.id} names")
    return claim.model_copy(update={"seeds": seeds})


def _suites(settings: Params) -> list[str]:
    """What claims may be judged on."""
    return [*dict.fromkeys([*form.SUITES, *settings.suites]), "fundamentals"]


def _check(claim: Claim, settings: Params, where: str) -> None:
    """What a type cannot say: names that must exist, and rules that must fit."""
    for suite in claim.suites:
        known(suite, _suites(settings), f"{where}suites", "suite")
    for key, of in (("seeds", claim.seeds), ("changed.seen", claim.changed and claim.changed.seen)):
        for suite in of or ():
            known(suite, claim.suites, f"{where}{key}", "suite")
    if len(set(claim.suites)) != len(claim.suites):
        raise ParamsError(f"{where}suites: found {claim.suites}, each may stand there once")
    for index, test in enumerate(claim.tests):
        place = f"{where}tests.{index}"
        fitting = form.FITS[type(test.statistic)]
        if test.rule.kind not in fitting:
            raise ParamsError(
                f"{place}.rule: found {test.rule.kind!r}; a statistic {test.statistic.kind!r} "
                f"is decided by {', '.join(fitting)}"
            )
        if isinstance(rule := test.rule, form.Within) and rule.low > rule.high:
            raise ParamsError(f"{place}.rule: found low {rule.low} above high {rule.high}")
        decidable = claim.least or claim.check or test.deterministic
        if form.trained(test.statistic) and not decidable:
            raise ParamsError(
                f"{where}least: this key is missing; a claim about trained models says from which "
                "part of its epochs in params.yaml it may be decided, {fraction: 0.5}, or from how "
                "many steps"
            )
        for key, kind, name in form.names(test.statistic):
            _check_name(claim, kind, name, settings, f"{place}.statistic{key}")
        in_fundamentals = "fundamentals" in form.stages(test.statistic)
        if in_fundamentals != (claim.suites == ["fundamentals"]):
            raise ParamsError(
                f"{where}suites: found {claim.suites}; values of the stage `fundamentals` belong "
                "to no suite, they are decided by suites: [fundamentals] and nothing else is"
            )


def _check_name(claim: Claim, kind: str, name: str, settings: Params, place: str) -> None:
    match kind:
        case "of" | "system":
            _check_system(claim, name, settings, place)
        case "measure":
            _check_measure(name, place)
        case "column":
            known(name, form.COLUMNS, place, "column")
        case "key":
            system, _, key = name.partition(" ")
            _check_key(claim, system, key, settings, place)


def _check_system(claim: Claim, name: str, settings: Params, place: str) -> None:
    methods = [*declarations.available_methods(), *form.STAGE_SYSTEMS]
    known(training.base(name), methods, place, "system")
    variants = {block for suite in settings.suites.values() for block in suite.methods}
    if training.base(name) != name and any(suite in settings.suites for suite in claim.suites):
        known(name, sorted(block for block in variants if "__" in block), place, "variant")


def _check_measure(name: str, place: str) -> None:
    try:
        catalogue.describe(name)
    except KeyError:
        measures = catalogue.MEASURES
        raise ParamsError(
            f"{place}: no measure {name!r}; there are {len(measures)}, see "
            f"docs/measures.md{nearest(name, measures)}"
        ) from None


def _check_key(claim: Claim, system: str, key: str, settings: Params, place: str) -> None:
    for suite in claim.suites:
        blocks = settings.suites.get(suite)
        if blocks is None or system not in ["dbn", *blocks.methods]:
            continue
        block = params.flatten(blocks.block(system).model_dump())
        numbers = [dotted for dotted, value in block.items() if type(value) in (int, float)]
        known(key, numbers, place, f"number of {suite}.{system}")
