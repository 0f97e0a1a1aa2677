"""The kernel that executes notebooks has a profile of its own, not that of whoever builds the site.

Their startup scripts, or their backend of matplotlib, would change a page. The profile also keeps
the kernel from warning that its connection, which does not leave the machine, is not encrypted.
"""

import os
import tempfile
from pathlib import Path

PROFILE = tempfile.TemporaryDirectory(prefix="ebmrepro-docs-")


def on_startup(**_):
    """Before anything is built."""
    folder = Path(PROFILE.name) / "profile_default"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ipython_kernel_config.py").write_text(
        'get_config().IPKernelApp.log_level = "ERROR"\n'
    )
    os.environ["IPYTHONDIR"] = PROFILE.name
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # pictures, in the page


def on_shutdown(**_):
    """After the last page."""
    PROFILE.cleanup()
