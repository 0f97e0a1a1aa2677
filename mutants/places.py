"""Where the code can be broken, how, and what is left out because nothing depends on it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import parso
from cosmic_ray.ast import ast_nodes  # pyright: ignore[reportMissingImports]
from cosmic_ray.operators.operator import Operator  # pyright: ignore[reportMissingImports]
from cosmic_ray.operators.provider import OperatorProvider  # pyright: ignore[reportMissingImports]

ROOMS = ("methods", "training", "metrics", "evaluation", "claims", "runs", "studies")
ARITHMETIC = {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"}
SETS = {"BitOr", "BitAnd", "BitXor"}
SPOKEN = {
    "print",
    "warn",
    "note",
    "say",
    "debug",
    "info",
    "warning",
    "error",
}  # a call that only tells


class Mutant(NamedTuple):
    file: str  # from the root of the checkout
    line: int
    column: int
    operator: str
    was: str  # the line as it is
    now: str  # and as it is broken
    text: str  # of the broken file

    @property
    def name(self) -> str:
        """What it is known by while its line stays as it is, wherever that moves to."""
        return f"{self.file}: {self.was.strip()} => {self.now.strip()}"


def on_import(text: str, line: int) -> bool:
    """Whether a line is in no function: one of a module or a class, a decorator, a default."""
    return not any(
        isinstance(node, ast.FunctionDef) and node.body[0].lineno <= line <= (node.end_lineno or 0)
        for node in ast.walk(ast.parse(text))
    )


class RemoveStatement(Operator):
    """cosmic-ray has none: `self.model.eval()` becomes `pass`, as does `total += loss`."""

    def mutation_positions(self, node: Any) -> Iterator[tuple]:
        if node.parent is None or node.parent.type != "simple_stmt":
            return
        called = node.type in ("atom_expr", "power") and node.children[-1].type == "trailer"
        added = node.type == "expr_stmt" and node.children[1].type in ("augassign", "operator")
        if called or (added and node.children[1].get_code().strip() not in ("=", ":")):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        prefix = node.get_first_leaf().prefix
        return parso.python.tree.Keyword("pass", node.start_pos, prefix)  # pyright: ignore

    @classmethod
    def examples(cls) -> tuple:
        return ()


def operators() -> dict[str, Any]:
    """cosmic-ray's, less those whose mutants die of a TypeError or differ in nothing."""
    provider = OperatorProvider()
    kept = {}
    for name in provider:
        kind, _, pair = name.partition("_")
        before, _, after = pair.partition("_")
        if kind == "ReplaceBinaryOperator" and not any(
            {before, after} <= k for k in (ARITHMETIC, SETS)
        ):
            continue
        if kind == "ReplaceComparisonOperator" and (("Is" in before) != ("Is" in after)):
            continue
        if kind in ("VariableReplacer", "VariableInserter"):  # want to be told names
            continue
        kept[name] = provider[name]
    return {**kept, "RemoveStatement": RemoveStatement}


def without_meaning(tree: ast.AST) -> Iterator[ast.AST]:
    """Annotations, `__all__`, messages (f-strings, `raise`), what only type checkers read."""
    for node in ast.walk(tree):
        match node:
            case ast.Raise() | ast.JoinedStr():
                yield node
            case ast.arg(annotation=ast.AST() as told) | ast.AnnAssign(annotation=told):
                yield told
            case ast.FunctionDef(returns=ast.AST() as told):
                yield told
            case ast.Assign(targets=[ast.Name("__all__")]) | ast.If(test=ast.Name("TYPE_CHECKING")):
                yield node
            case ast.Assign(value=ast.BinOp(op=ast.BitOr())):  # a type of its own, X = A | B
                yield node
            case ast.ClassDef(bases=[*_, ast.Name("Protocol")]):
                yield node
            case ast.Call(func=ast.Name(name) | ast.Attribute(attr=name)) if name in SPOKEN:
                yield node


def of_words(node: Any, name: str) -> bool:
    """`folder / "name"` broken into a TypeError; `kind == "word"` into an order of words."""
    if name.startswith("ReplaceBinaryOperator_Div"):
        return node.get_next_leaf().type in ("string", "fstring_start")
    if name.startswith(("ReplaceComparisonOperator_Eq_", "ReplaceComparisonOperator_NotEq_")):
        return node.get_last_leaf().type == "string" and name.rpartition("_")[2][0] in "LG"
    return False


def places(root: Path, file: str) -> tuple[list[list[tuple]], int]:
    """Every place of a file as the ways to break it, and the number of ways that were left out."""
    source = (root / file).read_text()
    dull = [
        ((n.lineno, n.col_offset), (n.end_lineno, n.end_col_offset))  # type: ignore[attr-defined]
        for n in without_meaning(ast.parse(source))
    ]
    found: dict[tuple, list[tuple]] = {}
    nodes, left_out = list(ast_nodes(parso.parse(source))), 0
    for name, kind in operators().items():
        operator = kind()
        for number, node in enumerate(nodes):
            for way, (start, end) in enumerate(operator.mutation_positions(node)):
                if any(a <= start and end <= b for a, b in dull) or of_words(node, name):
                    left_out += 1
                else:
                    where = (start, name.partition("_")[0])
                    found.setdefault(where, []).append((file, start, name, number, way))
    return [found[where] for where in sorted(found)], left_out


def broken(root: Path, file: str, start: tuple, name: str, number: int, way: int) -> Mutant | None:
    """A mutant; None where it does not compile or reads the same."""
    source = (root / file).read_text()
    nodes = list(ast_nodes(parso.parse(source)))
    tree, node = nodes[0], nodes[number]
    parent = node.parent
    changed = operators()[name]().mutate(node, way)
    place = next(i for i, child in enumerate(parent.children) if child is node)
    parent.children[place : place + 1] = [] if changed is None else [changed]
    text = tree.get_code()
    try:
        if ast.dump(ast.parse(text)) == ast.dump(ast.parse(source)):
            return None
        compile(text, file, "exec")
    except SyntaxError:
        return None
    was, now = (lines[start[0] - 1] for lines in (source.splitlines(), text.splitlines()))
    return Mutant(file, start[0], start[1], name, was, now, text)


def sample(root: Path, size: int, seed: int) -> tuple[list[Mutant], dict[str, int]]:
    """One way each at `size` places, drawn alike from all of them; and how many of what there are.

    By places, because arithmetic can be broken in six ways and a call removed in one: a draw of
    ways would be one of arithmetic. A place draws its lot by seed, file, what its line says and
    which of such lines it is, so that a change elsewhere leaves the draw as it was.
    """
    files = sorted(
        p.relative_to(root).as_posix() for r in ROOMS for p in (root / "ebmrepro" / r).rglob("*.py")
    )
    lines = {file: (root / file).read_text().splitlines() for file in files}

    def lot(file: str, start: tuple[int, int], *which: str | int) -> bytes:
        above, line = lines[file][: start[0] - 1], lines[file][start[0] - 1]
        column, alike = start[1] - len(line) + len(line.lstrip()), above.count(line)
        told = (seed, file, line.strip(), alike, column, *which)
        return hashlib.sha256(repr(told).encode()).digest()

    every, left_out = [], 0
    for file in files:
        here, out = places(root, file)
        every += here
        left_out += out
    mutants: list[Mutant] = []
    for ways in sorted(every, key=lambda ways: lot(*ways[0][:2], ways[0][2].partition("_")[0])):
        if len(mutants) == size:
            break
        for way in sorted(ways, key=lambda way: lot(*way[:3], way[4])):
            if mutant := broken(root, *way):
                mutants.append(mutant)
                break
    counts = {"places": len(every), "ways": sum(map(len, every)), "left_out": left_out}
    return mutants, counts
