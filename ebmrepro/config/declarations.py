"""What methods and data sources declare in their files, read without importing torch."""

from __future__ import annotations

import ast
import builtins
import contextlib
import typing
from functools import cache
from pathlib import Path
from typing import Any

from ebmrepro.config.documents import ParamsError, Strict, known
from ebmrepro.config.training import base

PACKAGE = Path(__file__).parents[1]
METHODS = PACKAGE / "methods"
SOURCES = PACKAGE / "data" / "sources"
TORCH_FREE = ("typing", "math", "itertools", "pydantic", "ebmrepro.config.")  # may be imported
FAMILIES = "ebmrepro.methods.base."  # read as a method's file is, not imported


@cache
def hparams_class(name: str) -> type[Strict]:
    """`Hparams` of a method, read from its file without running all of it.

    Running the file would import torch, which takes seconds; checking params.yaml must not. What
    is run: imports from `ebmrepro.config` and of the modules above, the `Strict` classes and type
    aliases of the file and of its family's, and `Hparams` itself.
    """
    path, _, node = _method(name)
    names = dict(_torch_free(path))
    _run(node, path, names)
    return names["Hparams"]


@cache
def _torch_free(path: Path) -> dict[str, Any]:
    """The names of a file under methods/ that need no torch."""
    module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    names: dict[str, Any] = {"__name__": module}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.ImportFrom(module=str(source)) if source.startswith(FAMILIES):
                there = _torch_free(METHODS / "base" / f"{source.removeprefix(FAMILIES)}.py")
                names |= {n.asname or n.name: there[n.name] for n in node.names if n.name in there}
            case ast.ImportFrom(module=str(source)) if source.startswith(TORCH_FREE):
                _run(node, path, names)
            case ast.Import(names=[ast.alias(name=source)]) if source in TORCH_FREE:
                _run(node, path, names)
            case ast.ClassDef(bases=[ast.Name(id=parent)]) if _is_strict(names.get(parent)):
                _run(node, path, names)
            case ast.Assign(value=value) if _known(value, names):
                _run(node, path, names)
    return names


def _known(value: ast.expr, names: dict[str, Any]) -> bool:
    """Whether an expression, such as a type's alias, is made of these names and of Python's own."""
    used = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
    return all(name in names or hasattr(builtins, name) for name in used)


def _run(node: ast.stmt, path: Path, names: dict[str, Any]) -> None:
    exec(compile(ast.Module([node], []), str(path), "exec", dont_inherit=True), names)


def _is_strict(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Strict)


@cache
def declared(name: str) -> dict[str, Any]:
    """What a method's class body sets to plain values, read as `hparams_class` is.

    Such are `players` and `smallest_batch`, see `method.Method`.
    """
    return _constants(_method(name)[1].body)


class Facts(typing.NamedTuple):
    """What a data source's file declares about its images; None where only the data can say."""

    shape: tuple[int, int, int] | None = None  # (C, H, W)
    images: int | None = None  # in training and test split together
    test: int | None = None  # in the official test split, if there is one
    takes: tuple[str, ...] = ()  # keys of `data` that this source needs and others have not
    pca: tuple[int, float] | None = None  # components, their published error: see data/check.py


@cache
def source_facts(name: str) -> Facts:
    """SHAPE, IMAGES, TEST, TAKES and PCA of a data source, read without running its file."""
    path = SOURCES / f"{known(name, available_sources(), 'ebmrepro/data/sources', 'source')}.py"
    said = _constants(ast.parse(path.read_text(encoding="utf-8")).body)
    return Facts(**{key: said[key.upper()] for key in Facts._fields if key.upper() in said})


def _method(name: str) -> tuple[Path, ast.ClassDef, ast.ClassDef]:
    """A method's file, its class there that holds an `Hparams`, and this."""
    path = METHODS / f"{known(base(name), available_methods(), 'params.yaml', 'method')}.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.ClassDef) and inner.name == "Hparams":
                    return path, node, inner
    raise ParamsError(f"{path.name}: found no class with a class Hparams")


def _constants(body: list[ast.stmt]) -> dict[str, Any]:
    """Names that are set to literals among some statements."""
    found: dict[str, Any] = {}
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                with contextlib.suppress(ValueError):  # computed: known to Python alone
                    found[name] = ast.literal_eval(value)
    return found


def available_methods() -> list[str]:
    return _modules(METHODS)


def available_sources() -> list[str]:
    return _modules(SOURCES)


def _modules(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
