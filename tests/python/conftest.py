"""Lakes shared by read-only tests. A test that writes copies one or makes its own."""

import pytest

import odd_exports
from program import ROOT, exports, load, run


@pytest.fixture(scope="session")
def demo_lake(tmp_path_factory):
    """What `wabalake demo` loads."""
    lake = tmp_path_factory.mktemp("demo") / "lake"
    load(lake, *exports(ROOT / "data/exports"))
    return lake


@pytest.fixture(scope="session")
def sample_exports(tmp_path_factory):
    """Two weeks of generated exports with every kind of dirt."""
    folder = tmp_path_factory.mktemp("sample")
    run("sample", "--out", folder, "--days", 14, "--sessions-per-day", 200, "--seed", 7, "--dirt")
    return exports(folder)


@pytest.fixture(scope="session")
def sample_lake(tmp_path_factory, sample_exports):
    """A lake of `sample_exports`."""
    lake = tmp_path_factory.mktemp("sample") / "lake"
    load(lake, *sample_exports)
    return lake


@pytest.fixture(scope="session")
def odd_lake(tmp_path_factory, demo_lake):
    """A lake in which nulls, ties, clock changes and invalid cells are frequent."""
    folder = tmp_path_factory.mktemp("odd")
    load(folder / "lake", *odd_exports.write(folder, demo_lake))
    return folder / "lake"
