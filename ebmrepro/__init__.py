"""A reproduction suite for energy-based generative models."""

import sys

__version__ = "0.1.0"

if sys.platform not in ("linux", "darwin"):  # before anything asks for `fcntl`, which is Unix's
    sys.stderr.write(
        f"ebmrepro runs on Linux and macOS, and on Windows inside WSL; this is {sys.platform}\n"
    )
    sys.exit(2)
