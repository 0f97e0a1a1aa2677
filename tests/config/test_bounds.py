"""Every number of params.yaml has bounds, and what no machine can hold or end is refused first."""

import copy
import os
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import annotated_types
import params_file
import pytest

from ebmrepro.config import declarations, estimate, forms, params
from ebmrepro.config.documents import ParamsError, Strict
from ebmrepro.config.params import Params, Run

SHIPPED = params_file.shipped()


def numbers(model: type[Strict], seen: set[type]) -> Iterator[tuple[str, list[Any]]]:
    """(where, marks) of every number that a model may hold, at any depth."""

    def within(kind: Any, where: str, marks: list[Any]) -> Iterator[tuple[str, list[Any]]]:
        if kind in (int, float):
            yield where, marks
        elif isinstance(kind, type) and issubclass(kind, Strict):
            if kind not in seen:
                seen.add(kind)
                yield from numbers(kind, seen)
        elif typing.get_origin(kind) is typing.Annotated:
            inner, *more = typing.get_args(kind)
            flat = [m for mark in more for m in (getattr(mark, "metadata", None) or [mark])]
            yield from within(inner, where, flat)
        elif typing.get_origin(kind) is not typing.Literal:
            for part in typing.get_args(kind):
                yield from within(part, where, marks)

    for key, field in model.model_fields.items():
        yield from within(field.annotation, f"{model.__name__}.{key}", field.metadata)


def test_every_number_has_a_least_and_a_greatest():
    seen: set[type] = set()
    models = [Params, *map(declarations.hparams_class, declarations.available_methods())]
    found = [one for model in models for one in numbers(model, seen)]
    assert len(found) > 100

    def bounded(marks: list[Any]) -> bool:
        low = any(isinstance(m, annotated_types.Ge | annotated_types.Gt) for m in marks)
        high = any(isinstance(m, annotated_types.Le | annotated_types.Lt) for m in marks)
        return low and high

    assert [where for where, marks in found if not bounded(marks)] == []


def written(folder: Path, place: str, value: Any) -> Params:
    """The shipped file with another value at a place."""
    tree, path = copy.deepcopy(params_file.part(params_file.TREE)), folder / "params.yaml"
    *keys, last = place.split(".")
    params_file.at(tree, tuple(keys))[last] = value
    path.write_text(params_file.written(tree), encoding="utf-8")
    return params.load(path)


def test_what_is_written_of_a_training_holds_every_seed_that_may_be_asked_for():
    """A training whose seed its own files cannot hold is measured by nothing."""
    at_most = {
        mark.lt
        for _, marks in numbers(Run, set())
        for mark in marks
        if isinstance(mark, annotated_types.Lt)
    }
    assert at_most == {2**32}
    written = [form for form in vars(forms).values() if "seed" in getattr(form, "model_fields", ())]
    assert len(written) >= 5
    for form in written:
        marks = form.model_fields["seed"].metadata
        assert any(isinstance(m, annotated_types.Lt) and m.lt == 2**32 for m in marks), form


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("digits.methods.ebgan.grids", 10**9, "less than or equal to 1000"),
        ("fundamentals.sampling.step", 1e308, "less than or equal to 1000000000000"),
        ("fundamentals.network.spread", 5e-324, "greater than or equal to 0.000000000001"),
        (
            "digits.methods.dcgan.hparams.init_std",
            5e-324,
            "greater than or equal to 0.000000000001",
        ),
        ("digits.dbn.hparams.layers", [10**9], "digits.dbn: takes at least"),
        ("digits.methods.ebgan.hparams.G.hidden", [10**9], "digits.methods.ebgan: takes at least"),
        ("digits.evaluate.generated", 10**9, "digits.evaluate.generated: takes at least"),
        ("fundamentals.train", 10**9, "fundamentals.train: takes at least"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, value: Any, said: str
):
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 4 << 20}  # 16 GiB, whatever the machine
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    with pytest.raises(ParamsError, match=said) as error:
        estimate.fits(written(tmp_path, place, value))
    assert "\n" not in str(error.value)


def test_what_no_machine_ends_in_a_year_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A step of nothing takes a microsecond: 10^9 epochs of digits take hours, and pass."""
    asked = written(tmp_path, "digits.methods.ebgan.hparams.epochs", 10**9)
    estimate.fits(asked)
    monkeypatch.setattr(estimate, "STEP", 1e-2)
    with pytest.raises(ParamsError, match=r"digits\.methods\.ebgan: takes at least 7 years"):
        estimate.fits(asked)


def test_every_suite_that_is_shipped_fits_a_small_machine(monkeypatch: pytest.MonkeyPatch):
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1 << 20}  # 4 GiB
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    for name, suite in SHIPPED.suites.items():
        update = {"suites": [name], "methods": list(suite.methods), "variants": []}
        run = SHIPPED.run.model_copy(update=update)
        estimate.fits(SHIPPED.model_copy(update={"run": run}))


def test_the_least_is_less_than_what_networks_are():
    from ebmrepro.methods.base import method
    from ebmrepro.networks import layers

    for _, name, block in SHIPPED.suite("digits").blocks:
        model = method.build(name, block.hparams, (1, 8, 8), 10, seed=0)
        least = estimate.training(name, block, 64, 1437).bytes
        assert 0 < least <= layers.count(model) * estimate.COPIES * estimate.FLOAT, name
