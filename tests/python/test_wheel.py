"""The wheel in a new environment: the program, and the module that finds it.

maturin compiles with features of its own choice (those of one crate), which would compile Polars once more. So it is given
a stand-in for cargo, which answers that the program is compiled: a script that runs the one under test. `make wheel`
packs a real one.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import PathDistribution
from pathlib import Path

import polars
import pytest

from program import ENVIRONMENT, PROGRAM, ROOT, run

CARGO = """\
import json, os, sys

if sys.argv[1] != "rustc":
    os.execv({cargo!r}, [{cargo!r}, *sys.argv[1:]])
target = dict(kind=["bin"], crate_types=["bin"], name="wabalake", src_path="src/main.rs", edition="2024")
profile = dict(opt_level="0", debug_assertions=False, overflow_checks=False, test=False)
print(json.dumps(dict(
    reason="compiler-artifact", package_id={package!r}, manifest_path={manifest!r}, target=target, profile=profile,
    features=[], filenames=[{program!r}], executable={program!r}, fresh=True,
)))
"""


def script(path, interpreter, text):
    path.write_text(f"#!{interpreter}\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A new virtual environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("wheel")
    program = script(folder / "wabalake", "/bin/sh", f'exec "{PROGRAM}" "$@"')
    cargo = shutil.which("cargo")
    manifest = str(ROOT / "Cargo.toml")
    metadata = [cargo, "metadata", "--no-deps", "--offline", "--format-version=1", f"--manifest-path={manifest}"]
    packages = json.loads(subprocess.run(metadata, check=True, capture_output=True).stdout)["packages"]
    package = next(package["id"] for package in packages if package["name"] == "wabalake")
    stand_in = script(
        folder / "cargo", sys.executable,
        CARGO.format(cargo=cargo, package=package, manifest=manifest, program=str(program)),
    )
    maturin = [Path(sys.executable).with_name("maturin"), "build", "--quiet", "--compatibility", "linux"]
    subprocess.run(
        [*maturin, "--target-dir", folder / "target", "--out", folder / "dist"],
        cwd=ROOT, env=os.environ | {"CARGO": str(stand_in)}, check=True,
    )
    [wheel] = (folder / "dist").iterdir()
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", environment / "bin/python"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", wheel], check=True)
    return environment


def python(environment, *arguments, **variables):
    done = subprocess.run(
        [environment / "bin/python", *arguments], env=ENVIRONMENT | variables, capture_output=True, text=True, check=False,
    )
    return done.stdout + done.stderr.splitlines()[-1] if done.returncode else done.stdout


def test_program_is_installed(environment):
    version = run("--version")
    installed = [environment / "bin/wabalake", "--version"]
    assert subprocess.run(installed, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout == version
    assert python(environment, "-m", "wabalake", "--version") == version


def test_module_runs_the_program_that_was_installed_with_it(environment):
    found = python(environment, "-c", "import wabalake; print(wabalake.find_program())")
    assert found == f"{environment}/bin/wabalake\n"


def test_answer_needs_a_library_that_is_installed(environment, demo_lake):
    ask = f"import wabalake; print(wabalake.sql('SELECT COUNT(*) AS n FROM nodes', lake={str(demo_lake)!r}).columns)"
    # The wheel requires none: which library is the user's choice.
    assert python(environment, "-c", ask) == "hint: `pip install polars`, or pandas and pyarrow, or pyarrow"
    assert python(environment, "-c", ask, PYTHONPATH=str(Path(polars.__file__).parents[1])) == "['n']\n"


def test_wheel_describes_itself(environment):
    [information] = environment.glob("lib/python*/site-packages/wabalake-*.dist-info")
    wheel = PathDistribution(information)
    assert f"wabalake {wheel.version}\n" == run("--version")
    assert set(wheel.metadata.get_all("Provides-Extra")) == {"polars", "pandas", "arrow"}
    assert not [needed for needed in wheel.requires if "extra ==" not in needed]
    files = {file.name for file in wheel.files}
    assert {"__init__.py", "py.typed", "LICENSE"} <= files
