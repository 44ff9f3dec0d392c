"""Object stores shared by the tests. Each is started when its first test comes, and stopped after the last of all."""

import pytest

import stores


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """Returns the running server of a class, which is started when it is first asked for."""
    running = {}

    def start(kind):
        if kind not in running:
            running[kind] = kind(tmp_path_factory.mktemp(kind.name))
            running[kind].start()
        return running[kind]

    try:
        yield start
    finally:
        for server in running.values():
            server.stop()


@pytest.fixture(scope="session", params=stores.GOOD, ids=lambda kind: kind.name)
def store(request, start):
    """Each store that a lake can be on."""
    return start(request.param)


@pytest.fixture(scope="session", params=stores.OF_EACH_PROTOCOL, ids=lambda kind: kind.name)
def protocol(request, start):
    """A store of each protocol."""
    return start(request.param)


@pytest.fixture(scope="session")
def s3(start):
    """A quick store that speaks S3's protocol."""
    return start(stores.Moto)


@pytest.fixture(scope="session")
def main_s3(start):
    """The main store that speaks S3's protocol."""
    return start(stores.SeaweedFS)


@pytest.fixture(scope="session")
def quick_store(start):
    """A store for tests to which it does not matter which."""
    return start(stores.Google)


@pytest.fixture(scope="session")
def bad_store(start):
    """The store that ignores the conditions of a PUT."""
    return start(stores.Rclone)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the ends of the logs of the servers that a failed test used."""
    report = yield
    if report.failed:
        for used in getattr(item, "funcargs", {}).values():
            if isinstance(used, stores.Server):
                report.sections.append((f"log of {used.name}", used.process.said()[-3000:]))
    return report
