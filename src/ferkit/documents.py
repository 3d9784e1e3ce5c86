"""JSON and YAML that others wrote, read with limits: whatever is wrong with a text is one `ValueError`.

Its message says what is wrong and quotes nothing, since a hostile text may be as long as it likes.
"""

import json
import math
from pathlib import Path
from typing import Any

import yaml

_JSON_BYTES, _YAML_BYTES = 1 << 28, 1 << 22
_FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 (any JSON value)
    """Return the value of a JSON text; its numbers are finite.

    Raises:
        ValueError: it is not JSON, too long, nested too deep, or holds a number beyond all bounds.
    """
    _require_short(len(text), _JSON_BYTES)
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON (line {error.lineno}: {error.msg})") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except ValueError:
        raise ValueError("it holds a number beyond all bounds") from None


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        ValueError: as `parse_json`, or it is no object.
        OSError: it cannot be read.
    """
    _require_short(path.stat().st_size, _JSON_BYTES)
    value = parse_json(path.read_bytes())
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def parse_yaml(text: str, *, aliases: bool = False) -> Any:  # noqa: ANN401 (any plain value)
    """Return the value of a YAML text of plain values, without tags.

    Args:
        text: what others wrote.
        aliases: allow them, by which a short text becomes endless for whoever walks through all of its value.

    Raises:
        ValueError: it is not YAML, too long, nested too deep, or uses an alias that is not allowed.
    """
    _require_short(len(text), _YAML_BYTES)
    try:
        return yaml.load(text, _FAST_LOADER if aliases else _PlainLoader)  # noqa: S506 (safe ones)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1}: {error.problem})" if error.problem_mark else ""
        raise ValueError(f"it is not YAML{line}"[:200]) from None
    except (yaml.YAMLError, ValueError, TypeError) as error:  # such as a date that is none
        raise ValueError(f"it is not YAML: {' '.join(str(error).split())}"[:200]) from None


def read_yaml(path: Path, *, aliases: bool = False) -> Any:  # noqa: ANN401 (any plain value)
    """Return the value of a YAML file; raises as `parse_yaml`, `OSError` where it cannot be read."""
    _require_short(path.stat().st_size, _YAML_BYTES)
    return parse_yaml(path.read_text(encoding="utf-8"), aliases=aliases)


class _PlainLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("it uses an alias (*name); write the value out")
        return super().compose_node(parent, index)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _require_short(length: int, most: int) -> None:
    if length > most:
        raise ValueError(f"it is {length:,} bytes long, more than the {most:,} that are read")
