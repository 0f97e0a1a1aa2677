"""How a command or a stage ends that does not end well: one line on stderr, and an exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ebmrepro.system import atomic, errors
from ebmrepro.system.errors import UserError
from ebmrepro.system.signals import Stopped


@contextmanager
def told() -> Iterator[None]:
    """What a person can mend, and what the machine refuses, is one line and exit code 2; a training
    that was asked to stop says how to go on and exits with its signal's code.
    """
    try:
        yield
        return
    except UserError as error:
        line, code = str(error), 2
    except Stopped as stop:
        line, code = "; ".join(filter(None, [str(stop), stop.way_on])), stop.code
    except KeyboardInterrupt:
        line, code = "stopped by SIGINT", 128 + signal.SIGINT
    except OSError as error:
        line, code = atomic.refused(error) or "", 2
        if not line:  # a mistake of ours
            raise
    except RuntimeError as error:  # torch's: no memory on a GPU, a driver too old, a broken one
        line, code = f"{errors.one_line(error)}; EBMREPRO_DEVICE=cpu leaves the GPU alone", 2
        if not {"CUDA", "NVIDIA"} & {*line.split()}:
            raise
    except ImportError as error:  # of a library that the loader cannot map
        line, code = f"{errors.one_line(error)}; is there memory for it?", 2
        if "failed to map segment" not in line:
            raise
    print(line, file=sys.stderr, flush=True)
    sys.exit(code)
