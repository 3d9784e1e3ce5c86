"""Print the oldest release of every dependency that pyproject.toml allows, for `make test-floors`."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
named = [*project["dependencies"], *project["optional-dependencies"]["demo"]]
floors = [re.match(r"([\w.-]+)>=([\d.]+)", each) for each in named]
pins = [(floor[1], floor[2] if floor[2].count(".") > 1 else f"{floor[2]}.*") for floor in floors if floor]
sys.stdout.write("".join(f"{name}=={pin}\n" for name, pin in pins))
