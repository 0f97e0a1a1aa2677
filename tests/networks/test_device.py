"""Where a process computes: on the GPU that it was given, of several too."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
OF_ALL = {"is_available", "is_initialized", "device_count", "CUDAGraph", "set_sync_debug_mode"}
OF_ALL |= {"empty_cache"}  # of the process


def nameless(text: str) -> list[str]:
    """Calls that concern one GPU and leave it to the process which: its first, unless told."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    found = [(node, re.fullmatch(r"torch\.cuda\.(\w+)", ast.unparse(node.func))) for node in calls]
    return [
        ast.unparse(node)
        for node, named in found
        if named and named[1] not in OF_ALL and not node.args and not node.keywords
    ]


def test_every_question_to_a_gpu_names_it():
    assert nameless("torch.cuda.synchronize(); torch.cuda.Stream(where)")
    paths = [path for room in ("ebmrepro", "benchmarks") for path in (ROOT / room).rglob("*.py")]
    assert len(paths) > 100
    found = {str(path): nameless(path.read_text(encoding="utf-8")) for path in paths}
    assert {path: calls for path, calls in found.items() if calls} == {}
