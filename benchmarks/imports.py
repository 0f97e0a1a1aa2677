"""How long a stage's imports take: a process of its own, which forks once per stage and repeat.

Standard library only, since whatever is imported here is imported already in the forks. It reads
from standard input what to import ahead (as the server of `ebmrepro repro` does; nothing for a
stage that starts alone) and the import statements of each stage, and prints the seconds of each.
"""

import ast
import importlib
import json
import os
import sys
import time
from pathlib import Path

# Whose presence after the imports of a stage is worth telling.
HEAVY = ("torch", "torchvision", "mlflow", "matplotlib", "sklearn", "pandas", "scipy", "dvc")
# What every stage imports besides, to read its command line; see stages/environment.py.
ALWAYS = "import typer\nfrom ebmrepro import cli\n"


def statements(script: Path) -> str:
    """The imports of a stage script, at its head and inside its functions, in their order."""
    return ALWAYS + "\n".join(_own(script))


def _own(script: Path) -> list[str]:
    """Without what `ALWAYS` has; in place of another stage's script stands what that imports."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    lines: list[str] = []
    for node in sorted(found, key=lambda node: node.lineno):
        line = ast.unparse(node)
        beside = script.with_name(f"{getattr(node, 'module', None)}.py")
        if beside.exists():
            lines += _own(beside)
        elif line not in ("import environment", "import typer"):
            lines.append(line)
    return list(dict.fromkeys(lines))


def main() -> None:
    asked = json.load(sys.stdin)
    for name in asked["ahead"]:
        importlib.import_module(name)
    answers = []
    for stage, source in asked["stages"]:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            start = time.perf_counter()
            exec(compile(source, stage, "exec"), {})
            seconds = time.perf_counter() - start
            heavy = [name for name in HEAVY if name in sys.modules]
            os.write(writing, json.dumps([seconds, heavy]).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            answers.append(json.loads(answer.read() or "null"))
        os.waitpid(child, 0)
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
