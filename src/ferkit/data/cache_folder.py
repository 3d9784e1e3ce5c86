"""The folder of what is computed once: ``$FERKIT_CACHE``, else ``ferkit`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.

Every file in it is named by a digest of all that decides it and appears whole, so that the folder can be shared, and
deleted at any time.
"""

import os
import tempfile
from pathlib import Path

CACHE_VARIABLE = "FERKIT_CACHE"


def cache_folder() -> Path:
    """Return the folder; it need not exist."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ferkit"
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir()) / "ferkit"
