"""The protocols of a probe, one file each: what it needs, how it runs, what a report calls it.

To add one: a file with a `PROTOCOL`, and its name in `ferkit.probing.settings.PROTOCOLS`.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from ferkit.probing.protocols.base import Protocol, Task
from ferkit.probing.settings import PROTOCOLS

__all__ = ["RUNNERS", "Protocol", "Task"]

RUNNERS: Mapping[str, Protocol] = MappingProxyType(
    {name: import_module(f"ferkit.probing.protocols.{name.replace('-', '_')}").PROTOCOL for name in PROTOCOLS}
)
"""By name, in the order in which they are shown."""
