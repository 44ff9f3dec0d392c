"""A nightly run of a lake on a store does what it does in a folder."""

import json
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import stores
from program import ROOT, command, run
from proxy import Proxy

NAMES = "general_sessions_report_2025_05_25.csv", "general_sessions_report_2025_06_10.csv", "deployments_2025_06_10.csv"
FILES = [ROOT / "data/exports" / name for name in NAMES]
QUERIES = {
    "days": ("session-duration", "--by", "day"),
    "deliveries": ("delivery-rate", "--by", "day"),
    "flows": ("drop-off",),
}
MARTS = """
[[marts]]
name = "days"
query = "session-duration"
params = { by = ["day"] }
[[marts]]
name = "deliveries"
query = "delivery-rate"
params = { by = ["day"] }
[[marts]]
name = "flows"
query = "drop-off"
"""


def settings(after="leave", inbox="../inbox", more=""):
    return f"""
timezone = "America/Bogota"
[inbox]
folders = ["{inbox}"]
after = "{after}"
loaded = "../loaded"
failed = "../failed"
settle_seconds = 0
{more}
{MARTS}
"""


class Folder:
    """A lake in a folder, with what is beside it."""

    def __init__(self, root, environment):
        self.root, self.environment, self.lake = root, environment, root / "lake"
        (root / "lake").mkdir(parents=True)
        (root / "inbox").mkdir()

    def put(self, key, data):
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(data)

    def get(self, key):
        return (self.root / key).read_bytes()

    def keys(self, below):
        return sorted(path.name for path in (self.root / below).glob("*"))


class Bucket:
    """The same below a prefix of a store."""

    def __init__(self, store, prefix, environment):
        self.prefix, self.environment, self.client = prefix, environment, store.client()
        self.lake = store.url(f"{prefix}/lake")

    def put(self, key, data):
        self.client.put(f"{self.prefix}/{key}", data)

    def get(self, key):
        return bytes(self.client.get(f"{self.prefix}/{key}").bytes())

    def keys(self, below):
        prefix = f"{self.prefix}/{below}/"
        found = [entry["path"] for batch in self.client.list(prefix) for entry in batch]
        return sorted(path.removeprefix(prefix) for path in found)


def nightly(site, *arguments, environment=None):
    words = ("nightly", "--lake", site.lake, "--json", *arguments)
    done = subprocess.run(
        command(*words), env=environment or site.environment, capture_output=True, text=True, timeout=120,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def told(report):
    """What a run did, without times."""
    marts = [{key: mart[key] for key in ("mart", "worked_out", "days", "rows")} for mart in report["marts"]]
    inbox = {key: value for key, value in report["inbox"].items() if key != "failed"}
    return report["outcome"], inbox, marts


def answers(site, *options):
    """The answers that the marts have, which must be fresh."""
    explained = run("explain", *QUERIES["flows"], "--lake", site.lake, environment=site.environment)
    assert "which is up to date" in explained, explained
    query = lambda words: run(
        "query", *words, "--lake", site.lake, "-f", "csv", *options, environment=site.environment,
    )
    return {name: query(words) for name, words in QUERIES.items()}


@pytest.fixture(scope="module")
def environment(store, tmp_path_factory):
    return store.environment() | {"WABALAKE_CACHE": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture
def quick_environment(quick_store, tmp_path):
    return quick_store.environment() | {"WABALAKE_CACHE": str(tmp_path / "cache")}


def sites(store, environment, folder):
    """A site in a folder, and one on a store."""
    return Folder(folder / "site", environment), Bucket(store, f"of=us/{folder.name}", environment)


def test_run_equals_that_in_a_folder(store, environment, tmp_path):
    reports = []
    both = sites(store, environment, tmp_path)
    for site in both:
        site.put("lake/wabalake.toml", settings("move").encode())
        for file in FILES:
            site.put(f"inbox/{file.name}", file.read_bytes())
        first = nightly(site)
        assert site.keys("inbox") == []
        assert site.keys("loaded") == sorted(file.name for file in FILES)
        again = nightly(site)
        assert all(mart["worked_out"] == "nothing" for mart in again["marts"]), again
        reports.append((told(first), told(again)))
    here, there = (answers(site) for site in both)
    assert there == here
    assert reports[1] == reports[0]


def test_inbox_is_left_and_deleted(quick_store, quick_environment, tmp_path):
    file = next(file for file in FILES if "sessions" in file.name)
    for site in sites(quick_store, quick_environment, tmp_path):
        for after, left in ("leave", [file.name]), ("delete", []):
            site.put("lake/wabalake.toml", settings(after).encode())
            site.put(f"inbox/{file.name}", file.read_bytes())
            # It is remembered, or recognised by its contents.
            counts = [nightly(site)["inbox"] for _ in range(2)]
            assert [count["files"] for count in counts] == [after == "leave", 0]
            assert site.keys("inbox") == left
        site.put("inbox/notes.csv", b"nothing,to,see\n1,2,3\n")
        assert nightly(site)["outcome"] == "incomplete"
        assert site.keys("failed") == ["notes.csv", "notes.csv.error.txt"]
        assert site.get("failed/notes.csv.error.txt").startswith(b"error: ")


def test_two_runs_at_once_and_a_killed_one(quick_store, quick_environment):
    site = Bucket(quick_store, "at once", quick_environment)
    site.put("lake/wabalake.toml", settings().encode())
    for file in FILES:
        site.put(f"inbox/{file.name}", file.read_bytes())
    # The first is slow, and is killed as soon as it holds the lock.
    with Proxy(quick_store.port, delay=0.05) as proxy:
        slow = quick_store.environment(proxy.port) | {"WABALAKE_CACHE": "off"}
        first = subprocess.Popen(command("nightly", "--lake", site.lake), env=slow, stderr=subprocess.DEVNULL)
        stores.until_it_works(lambda: site.get("lake/.wabalake/nights/00000000"))
        with pytest.raises(AssertionError, match="another nightly run is in progress: process"):
            run("nightly", "--lake", site.lake, environment=quick_environment)
        first.send_signal(signal.SIGKILL)
        first.wait()
    # This machine sees that its process is gone.
    report = nightly(site)
    assert report["died_before"] and report["outcome"] == "done", report
    with ThreadPoolExecutor(2) as pool:
        words = command("nightly", "--lake", site.lake)
        nightly_run = lambda _: subprocess.run(words, env=quick_environment, capture_output=True)
        runs = list(pool.map(nightly_run, "ab"))
    said = [one.stderr.decode() for one in runs if one.returncode]
    assert len(said) < 2 and all("another nightly run is in progress" in one for one in said), said
    assert answers(site) == answers(site, "--no-marts")


def test_settings_are_written_once(store, environment):
    lake = store.url("new/lake")
    said = run("init", "--lake", lake, "--timezone", "America/Bogota", environment=environment)
    assert store.url("new/inbox") in said
    assert "America/Bogota" in run("config", "--lake", lake, "-f", "csv", environment=environment)
    with pytest.raises(AssertionError, match="wabalake.toml` already exists"):
        run("init", "--lake", lake, environment=environment)
    run("nightly", "--lake", lake, "--dry-run", environment=environment)


def test_options_in_files(s3, tmp_path):
    """A lake reached by the options of a file, with an inbox in another bucket."""
    environment = s3.environment() | {"WABALAKE_CACHE": str(tmp_path / "cache")}
    endpoint = environment.pop("AWS_ENDPOINT_URL_S3")
    (tmp_path / "store.toml").write_text(f'[store]\nendpoint = "{endpoint}"\n')
    by_file = environment | {"WABALAKE_CONFIG": str(tmp_path / "store.toml")}
    s3.make_bucket("inboxes")
    file = FILES[0]
    s3.client(bucket="inboxes").put(f"in/{file.name}", file.read_bytes())
    text = settings("delete", "s3://inboxes/in", f'[store]\nendpoint = "{endpoint}"')
    s3.client().put("by file/wabalake.toml", text.encode())
    lake = s3.url("by file")
    assert json.loads(run("nightly", "--lake", lake, "--json", environment=by_file))["inbox"]["files"] == 1
    assert not [entry for batch in s3.client(bucket="inboxes").list() for entry in batch]
    shown = run("config", "--lake", lake, "-f", "csv", environment=by_file)
    assert f"--store-option endpoint,{endpoint},{tmp_path / 'store.toml'}" in shown
    assert f"store.endpoint,{endpoint},wabalake.toml" in shown


def test_page_is_an_object(s3, tmp_path):
    site = Bucket(s3, "page", s3.environment() | {"WABALAKE_CACHE": str(tmp_path / "cache")})
    site.put("lake/wabalake.toml", b'[page]\nfile = "../site/index.html"\n')
    run("load", FILES[0], "--lake", site.lake, "--quiet", environment=site.environment)
    nightly(site)
    page = site.client.get("page/site/index.html")
    assert page.attributes["Content-Type"] == "text/html; charset=utf-8"
    assert bytes(page.bytes()).lower().startswith(b"<!doctype html>")


def test_metrics_are_a_file_of_this_machine(quick_store, quick_environment, tmp_path):
    site = Bucket(quick_store, "metrics", quick_environment)
    site.put("lake/wabalake.toml", b'[nightly]\nmetrics = "wabalake.prom"\n')
    with pytest.raises(AssertionError, match="Prometheus reads metrics from a file"):
        run("nightly", "--lake", site.lake, environment=quick_environment)
    run("nightly", "--lake", site.lake, "--metrics", tmp_path / "wabalake.prom", environment=quick_environment)
    assert "wabalake_night_whole 1" in (tmp_path / "wabalake.prom").read_text()


def test_few_requests(quick_store, tmp_path):
    """A run with one new day: what it asks for does not grow with the lake."""
    with Proxy(quick_store.port) as proxy:
        environment = quick_store.environment(proxy.port) | {"WABALAKE_CACHE": str(tmp_path / "cache")}
        site = Bucket(quick_store, "few", environment)
        site.put("lake/wabalake.toml", settings().encode())
        for file in FILES:
            site.put(f"inbox/{file.name}", file.read_bytes())
        nightly(site)
        header = b"session_id,session_started_timestamp,user_country_code,user_cellphone\n"
        site.put("inbox/new.csv", header + b"new,2025-08-01 12:00:00,57,3005550123\n")
        proxy.reset()
        proxy.delay = 0.03
        started = time.monotonic()
        report = nightly(site)
        seconds = time.monotonic() - started
        # How many data files are read depends on the marts: of these, drop-off reads all sessions.
        others = [request for request in proxy.requests if not request[1].endswith(".parquet")]
        print(f"{len(proxy.requests)} requests, {len(others)} not of data files, {seconds:.2f} s")
        assert report["inbox"]["files"] == 1
        assert len(others) <= 125, others
