"""`python -m benchmarks`, which `ebmrepro bench` calls; its options are explained in `run.py`.

Processes that measure import what they run from there: a main module is nobody's to import.
"""

import sys

from benchmarks import run
from ebmrepro.system.errors import UserError

if __name__ == "__main__":
    try:
        run.main(sys.argv[1:])
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
