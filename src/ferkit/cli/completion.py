"""What the shell completes: names that tables of ferkit hold. Nothing heavy is imported for it."""

from collections.abc import Callable, Iterable
from pathlib import Path

from ferkit.probing.settings import ALL, PROTOCOLS

METHOD_NAMES = [
    *("byol", "byol-paper", "contrawarping", "crs-cont", "crs-cont-fast", "cycleface", "cycleface-identity", "distill"),
    *(
        "mocov2",
        "pcl",
        "simclr",
        "ssl-fer",
        *(f"ssl-fer-{row}" for row in "abcdefg"),
        "supervised",
        "unwarp",
        "vcl",
        "votes",
    ),
]
"""The methods and their variants, which are classes that bring torch."""

Completer = Callable[[str], list[str]]


def encoders(incomplete: str) -> list[str]:
    """Names of the registry, and folders, which may be runs."""
    from ferkit.encoders.registry import load_registry

    folders = [f"{path}/" for path in Path().glob(f"{incomplete.rstrip('*')}*") if path.is_dir()] if incomplete else []
    return [*_beginning(load_registry(), incomplete), *sorted(folders)]


def methods(incomplete: str) -> list[str]:
    """Names of methods."""
    return _beginning(METHOD_NAMES, incomplete)


def layouts(incomplete: str) -> list[str]:
    """Names of data sets."""
    from ferkit.data.sources.layouts import LAYOUTS

    return _beginning(LAYOUTS, incomplete)


def protocols(incomplete: str) -> list[str]:
    """Names of protocols, of which several are divided by commas."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in _beginning((ALL, *PROTOCOLS), last)]


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
