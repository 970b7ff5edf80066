"""Where Vercel's Python runtime begins: it names our entry to `vercel_runtime`, which then serves it.

The names of the variables are the runtime's (vercel-runtime 0.24, `vc_init`), as its builder writes them.
"""

import os
import site
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = str(HERE / "_vendor")

os.environ.update(
    {
        "__VC_PY_BOOT_START_MS": str(int(time.monotonic() * 1000)),
        "__VC_HANDLER_MODULE_NAME": "index",
        "__VC_HANDLER_ENTRYPOINT": "index.py",
        "__VC_HANDLER_ENTRYPOINT_ABS": str(HERE / "index.py"),
        "__VC_HANDLER_VENDOR_DIR": "_vendor",
        "__VC_HANDLER_VARIABLE_NAME": "app",
    }
)
site.addsitedir(PACKAGES)
sys.path = [str(HERE), PACKAGES, *(path for path in sys.path if path not in {str(HERE), PACKAGES})]

from vercel_runtime.vc_init import vc_handler  # noqa: E402, F401 (it reads the environment when it is imported)
