"""What is in the built package, and whether it works away from the repository."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "ferkit"

pytestmark = pytest.mark.slow


def run(*command, cwd, **env):
    """Run a command outside the repository, with nothing of it on Python's path."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))}
    done = subprocess.run(command, cwd=cwd, env=clean | env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that is built from the source distribution that is built from the repository."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT), cwd=out)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A new environment that holds the wheel and borrows everything else from the one that runs the tests."""
    home = tmp_path_factory.mktemp("elsewhere")
    run(sys.executable, "-m", "venv", "--without-pip", "env", cwd=home)
    bin_dir = home / "env" / ("Scripts" if os.name == "nt" else "bin")
    python = str(bin_dir / "python")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", str(wheel), cwd=home)
    site_packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip()
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(site_packages) / "borrowed.pth").write_text("\n".join(sorted(borrowed)))
    return bin_dir


def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def test_wheel_holds_the_package_and_nothing_else(wheel):
    expected = {f"ferkit/{path.relative_to(SOURCE).as_posix()}" for path in SOURCE.rglob("*.py")}
    packed = {name for name in names(wheel) if ".dist-info/" not in name}

    assert {name for name in packed if name.endswith(".py")} == expected
    others = {name for name in packed - expected if not re.fullmatch(r"ferkit/weights/[\w.-]+\.safetensors", name)}
    page = {f"ferkit/web/{path.relative_to(SOURCE / 'web').as_posix()}" for path in (SOURCE / "web").glob("*/*.*")}
    assert {name for name in page if name.endswith((".html", ".js", ".css", ".svg"))} <= others
    kept = {
        f"ferkit/{path.relative_to(SOURCE)}"
        for path in (
            *SOURCE.glob("report/templates/*.html"),
            *SOURCE.glob("report/static/*"),
            *SOURCE.glob("portraits/*"),
            SOURCE / "encoders" / "model_card.md",
        )
    }
    assert kept <= others
    assert others - page - kept == {"ferkit/models.yaml", "ferkit/py.typed"}


def test_wheel_holds_the_bundled_weights_the_zoo_and_its_licence(wheel):
    encoders = yaml.safe_load((ROOT / "models.yaml").read_text())["encoders"]
    bundled = {entry["weights"]["file"]: entry["bytes"] for entry in encoders if entry["weights"]["kind"] == "bundled"}
    with zipfile.ZipFile(wheel) as archive:
        packed = {info.filename: info.file_size for info in archive.infolist()}
        (metadata,) = (name for name in packed if name.endswith(".dist-info/METADATA"))
        (licence,) = (name for name in packed if name.endswith(".dist-info/licenses/LICENSE"))
        assert archive.read("ferkit/models.yaml") == (ROOT / "models.yaml").read_bytes()
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
        lines = archive.read(metadata).decode().splitlines()
    assert bundled
    assert {name: packed.get(f"ferkit/weights/{name}") for name in bundled} == bundled
    assert {"License-Expression: Apache-2.0", "Requires-Python: >=3.11"} <= set(lines)


def test_installed_command_works_elsewhere(installed, tmp_path):
    from ferkit._version import __version__

    assert run(str(installed / "ferkit"), "--version", cwd=tmp_path).strip() == f"ferkit {__version__}"
    listing = json.loads(run(str(installed / "ferkit"), "models", "list", "--json", cwd=tmp_path))
    assert listing["default"] in {encoder["name"] for encoder in listing["encoders"]}


def test_installed_package_loads_its_encoder_elsewhere(installed, tmp_path):
    code = "import ferkit; print(ferkit.__file__); print(ferkit.load_encoder(device='cpu').dim)"
    where, dim = run(str(installed / "python"), "-c", code, cwd=tmp_path, OMP_NUM_THREADS="1").splitlines()

    assert Path(where).is_relative_to(installed.parent)
    assert int(dim) > 0
