"""Object stores shared by the tests. Each is started when its first test comes, and stopped after its last."""

import pytest

import stores


@pytest.fixture(scope="session", params=stores.GOOD, ids=lambda kind: kind.name)
def store(request, tmp_path_factory):
    """Each store that a lake can be on."""
    yield from started(request.param, tmp_path_factory)


@pytest.fixture(scope="session")
def bad_store(tmp_path_factory):
    """The store that ignores the conditions of a PUT."""
    yield from started(stores.Rclone, tmp_path_factory)


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """A quick store that speaks S3's protocol."""
    yield from started(stores.Moto, tmp_path_factory)


@pytest.fixture(scope="session")
def quick_store(tmp_path_factory):
    """A store for tests to which it does not matter which."""
    yield from started(stores.Google, tmp_path_factory)


def started(kind, tmp_path_factory):
    server = kind(tmp_path_factory.mktemp(kind.name))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the ends of the logs of the servers that a failed test used."""
    report = yield
    if report.failed:
        for used in getattr(item, "funcargs", {}).values():
            if isinstance(used, stores.Server):
                report.sections.append((f"log of {used.name}", used.process.said()[-3000:]))
    return report
