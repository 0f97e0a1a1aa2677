"""The project's own source in the pages: code by its name, and the parts of a method's header."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
GREEK = {"alpha", "beta", "gamma", "lambda", "sigma", "theta"}


class MarkerError(ValueError):
    """A page asks for something that is not there; the message is one line."""


def code(path: str, name: str) -> str:
    """A function or class of a file, or `Class.method`, as it stands there with its line numbers.

    Raises:
        MarkerError: there is no such file, or no such name in it.
    """
    file = ROOT / path
    if not file.is_file():
        raise MarkerError(f"code: no file {path}")
    text = file.read_text(encoding="utf-8")
    first, last = _span(ast.parse(text), path, name)
    lines = textwrap.dedent("\n".join(text.splitlines()[first - 1 : last]))
    title = f"{path}, lines {first} to {last}"
    return f'```{{ .python title="{title}" linenums="{first}" }}\n{lines}\n```'


def block(path: str, key: str) -> str:
    """A top-level block of a YAML file, as it stands there.

    Raises:
        MarkerError: there is no such file, or no such block in it.
    """
    file = ROOT / path
    if not file.is_file():
        raise MarkerError(f"block: no file {path}")
    found = re.search(rf"^{re.escape(key)}:\n(?:[ #].*\n)*", file.read_text("utf-8"), re.MULTILINE)
    if not found:
        raise MarkerError(f"block: {path} has no {key}")
    return f'```{{ .yaml title="{path}" }}\n{found[0]}```'


def symbols(method: str) -> str:
    """The table of symbols in a method's header, its symbols set as formulae.

    Raises:
        MarkerError: there is no such method, or its header has no such table.
    """
    lines = _header(method).splitlines()
    heads = ("symbol", "here", "meaning")
    start = next((i for i, line in enumerate(lines) if tuple(line.split()) == heads), None)
    if start is None:
        raise MarkerError(f"symbols: the header of {method}.py has no line `symbol  here  meaning`")
    at = [lines[start].index(head) for head in heads]
    rows: list[list[str]] = []
    for line in lines[start + 1 :]:
        if not line.strip():
            break
        cells = [line[a:b].strip() for a, b in zip(at, [*at[1:], None], strict=True)]
        if cells[0]:
            rows.append(cells)
        else:  # the row goes on
            rows[-1] = [
                f"{above} {cell}".strip() for above, cell in zip(rows[-1], cells, strict=True)
            ]
    table = ["| symbol | in the code | meaning |", "| :-- | :-- | :-- |"]
    for symbol, here, meaning in rows:
        table.append(f"| {_formula(symbol)} | `{here}` | {escape(meaning)} |")
    return "\n".join(table)


def departures(method: str) -> str:
    """What a method's header says of its departures from the paper, to the header's end.

    Raises:
        MarkerError: there is no such method, or its header says nothing of departures.
    """
    _, found, told = _header(method).partition("\nDepartures")
    if not found:
        raise MarkerError(f"departures: the header of {method}.py has no line `Departures ...`")
    lead, items, rest = f"Departures{told}".partition("\n- ")
    lines = f"- {rest}" if items else ""
    lead = "" if lead.strip() == "Departures:" else lead.strip()  # the page's own heading
    return f"{escape(lead)}\n\n{escape(lines.strip())}".strip()


def escape(text: str) -> str:
    """Plain text of a header or a result that Markdown is to take for nothing else."""
    for mark in "\\|*[]<>":
        text = text.replace(mark, f"\\{mark}" if mark in "\\|*[]" else f"&{'lg'[mark == '>']}t;")
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\_", text)


def _header(method: str) -> str:
    path = ROOT / "ebmrepro" / "methods" / f"{method}.py"
    if not path.is_file():
        raise MarkerError(f"no method {method!r} in ebmrepro/methods")
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def _span(tree: ast.Module, path: str, name: str) -> tuple[int, int]:
    """First and last line of a definition, its decorators included."""
    body, node = tree.body, None
    for part in name.split("."):
        found = (n for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef)))
        node = next((n for n in found if n.name == part), None)
        if node is None:
            raise MarkerError(f"code: {path} has no {name}")
        body = node.body
    assert node is not None and node.end_lineno is not None
    return min([node.lineno, *(d.lineno for d in node.decorator_list)]), node.end_lineno


def _formula(symbol: str) -> str:
    """A symbol written with a keyboard, `lambda_k`, as a formula; words stay words."""
    if re.fullmatch(r"[A-Za-z-]{3,}|[A-Z]+-\w", symbol) and symbol not in GREEK:
        return symbol
    latex = re.sub(r"(?<=_)\w{2,}", lambda sub: rf"{{\text{{{sub[0]}}}}}", symbol)
    latex = re.sub(r"[a-z]{4,}", lambda word: _greek(word[0]), latex)
    return f"${latex}$"


def _greek(word: str) -> str:
    return rf"\{word}" if word in GREEK else word
