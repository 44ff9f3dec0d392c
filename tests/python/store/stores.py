"""Object stores on this machine: SeaweedFS, moto, Azurite, a stand-in for Google, and rclone.

Each listens on free loopback ports, keeps its data and its log in a folder of its own, holds one empty bucket
(`BUCKET`), and stops with all child processes.
"""

import base64
import email.utils
import hashlib
import hmac
import json
import os
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from obstore.store import AzureStore, GCSStore, S3Store

from program import ENVIRONMENT, ROOT
from servers import HERE, Process, free_port, free_ports

# The virtual environment with the servers, and with Azurite in `node_modules`.
INSTALLED = Path(os.environ.get("WABALAKE_STORES", ROOT / ".venv-store"))
BUCKET = "lake"
# Of these tests alone; no message of the program may show them.
KEY_ID = "AKIATESTSOFWABALAKE1"
SECRET = "secret/of+the/tests+of/wabalake"
AZURE_ACCOUNT = "wabalaketests"
AZURE_KEY = base64.b64encode(hashlib.sha512(b"the key of the tests").digest()).decode()
SECRETS = (KEY_ID, SECRET, AZURE_KEY)

# A developer's own credentials and settings of clouds must not reach a test.
CLOUDS = ("AWS_", "AZURE_", "GOOGLE_", "STORAGE_EMULATOR_HOST", "CLOUDSDK_", "HTTP_PROXY", "HTTPS_PROXY")
NO_CLOUD = {name: value for name, value in ENVIRONMENT.items() if not name.upper().startswith(CLOUDS)}


def installed(*parts):
    path = INSTALLED.joinpath(*parts)
    assert path.exists(), f"no {path}: `make .venv-store` puts it there"
    return path


def send(method, url, data=None, headers={}):
    """Sends a request that is not signed; a refusal raises."""
    asked = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return answer.read()


def until_it_works(action, seconds=30):
    """Repeats an action until it does not raise: a server may listen before it is ready."""
    until = time.monotonic() + seconds
    while True:
        try:
            return action()
        except Exception:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def over_http(options):
    """Options of a client of obstore, and that it need not have TLS."""
    return options | {"client_options": options.get("client_options", {}) | {"allow_http": True}}


def copy_lake(lake, client, prefix):
    """Copies a lake from a folder, without what belongs to its machine: as `aws s3 sync --exclude '.wabalake/*'`."""
    files = [path for path in lake.rglob("*") if path.is_file()]
    keys = {path.relative_to(lake).as_posix(): path for path in files}
    kept = [(f"{prefix}/{key}", path) for key, path in keys.items() if not key.startswith(".wabalake/")]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda pair: client.put(pair[0], pair[1]), kept))


class Server:
    """An object store. Subclasses say how it is started and spoken to."""

    name = None
    # How many writers race for one key in tests.
    writers = 16
    # Environment variables that it refuses. Moto and the stand-in accept everybody.
    wrong_credentials = ()

    def __init__(self, folder):
        self.folder = folder
        self.process = None

    def start(self):
        for tries_left in (2, 1, 0):
            self.port = free_port()
            self.process = Process(self.name, self.command(), self.folder / f"{self.name}.log", **self.settings())
            try:
                self.process.wait_for(self.port, seconds=60)
                break
            except AssertionError:
                # Another program may have taken a port that was free.
                self.stop()
                if not tries_left:
                    raise
        self.make_bucket()

    def stop(self):
        """Kills it: nothing of its data is kept, and SeaweedFS takes 15 s to end by itself."""
        if self.process:
            self.process.kill()

    def settings(self):
        """Environment variables of the server."""
        return {}

    def at(self, port=None):
        """The server's address; with a port, that of a proxy before it."""
        return f"http://{HERE}:{port or self.port}"

    def url(self, prefix="", bucket=BUCKET):
        """The address of a prefix, as `--lake` takes it."""
        return f"{self.scheme}://{bucket}/{prefix}".rstrip("/")

    def environment(self, port=None):
        """The environment in which wabalake reaches this store, and no other."""
        return NO_CLOUD | self.variables(port)


class S3(Server):
    """A server of S3's protocol."""

    scheme = "s3"

    def variables(self, port=None):
        return {
            "AWS_ENDPOINT_URL_S3": self.at(port), "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true",
        }

    def options(self):
        """The options with which deltalake and Polars reach it."""
        return {
            "aws_endpoint_url": self.at(), "aws_region": "us-east-1", "aws_access_key_id": KEY_ID,
            "aws_secret_access_key": SECRET, "aws_allow_http": "true",
        }

    def client(self, port=None, bucket=BUCKET, **options):
        settings = {
            "endpoint": self.at(port), "access_key_id": KEY_ID, "secret_access_key": SECRET, "region": "us-east-1",
        }
        return S3Store(bucket, config=settings, **over_http(options))


class SeaweedFS(S3):
    """The main server of S3. Writers that wait for the same key take a second each."""

    name = "seaweedfs"
    writers = 3
    wrong_credentials = ({"AWS_SECRET_ACCESS_KEY": "of+another"}, {"AWS_ACCESS_KEY_ID": "of+another"})

    def command(self):
        identity = {
            "name": "tests", "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (self.folder / "data").mkdir(exist_ok=True)
        names = (
            "s3.port.grpc", "filer.port", "filer.port.grpc", "master.port", "master.port.grpc", "volume.port",
            "volume.port.grpc",
        )
        self.ports = dict(zip(names, free_ports(len(names))))
        self.filer = self.ports["filer.port"]
        ports = self.ports | {"s3.port": self.port, "s3.port.iceberg": 0, "s3.port.lance": 0}
        return [
            installed("bin", "weed"), "server", f"-ip={HERE}", f"-ip.bind={HERE}", "-dir=data", "-s3",
            "-s3.config=s3.json", "-master.telemetry=false",
            # A bucket takes seven volumes; without room for them a PUT is answered with 500.
            "-volume.max=300", "-master.volumeSizeLimitMB=128",
            # The default of the sockets is a name of the port in the temporary folder.
            "-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock",
            *(f"-{name}={port}" for name, port in ports.items()),
        ]

    def stop(self):
        super().stop()
        for port in self.ports.values():
            for left in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()

    def make_bucket(self, bucket=BUCKET):
        # Buckets are folders of its filer, which needs no signature.
        until_it_works(lambda: send("POST", f"http://{HERE}:{self.filer}/buckets/{bucket}/"))
        # The first object of a bucket makes its volumes, which takes seconds.
        until_it_works(lambda: self.client(bucket=bucket).put("first", b"-"))
        self.client(bucket=bucket).delete("first")


class Moto(S3):
    """Keeps versions, and is quick when many writers want one key. It accepts every signature."""

    name = "moto"

    def command(self):
        return [installed("bin", "moto_server"), "-H", HERE, "-p", self.port]

    def settings(self):
        return {"S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true"}

    def make_bucket(self, bucket=BUCKET):
        until_it_works(lambda: send("PUT", f"{self.at()}/{bucket}"))

    def keep_versions(self, bucket=BUCKET):
        enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        send("PUT", f"{self.at()}/{bucket}?versioning", enabled.encode(), {"Content-Type": "application/xml"})


class Rclone(S3):
    """The bad store: it ignores the conditions of a PUT, so that each of many writers is told that it won."""

    name = "rclone"

    def command(self):
        (self.folder / "data").mkdir(exist_ok=True)
        keys = f"{KEY_ID},{SECRET}"
        return [installed("bin", "rclone"), "serve", "s3", "--auth-key", keys, "--addr", f"{HERE}:{self.port}", "data"]

    def settings(self):
        return {"RCLONE_CONFIG": "/dev/null"}

    def make_bucket(self, bucket=BUCKET):
        (self.folder / "data" / bucket).mkdir()


class Azurite(Server):
    """Microsoft's emulator of Azure's blobs, in memory."""

    name, scheme = "azurite", "az"
    wrong_credentials = ({"AZURE_STORAGE_ACCOUNT_KEY": "b2YrYW5vdGhlcg=="},)

    def command(self):
        return [
            installed("node_modules", ".bin", "azurite-blob"), "--blobHost", HERE, "--blobPort", self.port,
            "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent",
        ]

    def settings(self):
        return {"AZURITE_ACCOUNTS": f"{AZURE_ACCOUNT}:{AZURE_KEY}"}

    def at(self, port=None):
        return f"{super().at(port)}/{AZURE_ACCOUNT}"

    def make_bucket(self, bucket=BUCKET):
        until_it_works(lambda: self.make_container(bucket))

    def make_container(self, bucket):
        date, version = email.utils.formatdate(usegmt=True), "2021-08-06"
        signed = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{version}\n" \
            f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{bucket}\nrestype:container"
        digest = hmac.new(base64.b64decode(AZURE_KEY), signed.encode(), hashlib.sha256).digest()
        send("PUT", f"{self.at()}/{bucket}?restype=container", headers={
            "x-ms-date": date, "x-ms-version": version, "Content-Length": "0",
            "Authorization": f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(digest).decode()}",
        })

    def variables(self, port=None):
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": AZURE_ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": AZURE_KEY,
            "AZURE_STORAGE_ENDPOINT": self.at(port),
        }

    def client(self, port=None, bucket=BUCKET, **options):
        settings = {"account_name": AZURE_ACCOUNT, "account_key": AZURE_KEY, "endpoint": self.at(port)}
        return AzureStore(bucket, config=settings, **over_http(options))


class Google(Server):
    """Our stand-in for Google Cloud Storage: no emulator that can be installed speaks its XML protocol."""

    name, scheme = "google", "gs"

    def command(self):
        return [sys.executable, Path(__file__).with_name("google_standin.py"), self.port]

    def make_bucket(self, bucket=BUCKET):
        until_it_works(lambda: send("PUT", f"{self.at()}/{bucket}"))

    def account(self, port=None):
        nobody = {"client_email": "", "private_key": "", "private_key_id": ""}
        return json.dumps({"gcs_base_url": self.at(port), "disable_oauth": True, **nobody})

    def variables(self, port=None):
        return {"STORAGE_EMULATOR_HOST": self.at(port), "GOOGLE_SERVICE_ACCOUNT_KEY": self.account(port)}

    def client(self, port=None, bucket=BUCKET, **options):
        settings = {"service_account_key": self.account(port)}
        return GCSStore(bucket, config=settings, **over_http(options))


# Those that a lake can be on.
GOOD = (SeaweedFS, Moto, Azurite, Google)
# One for each protocol, for tests of whole lakes: Moto is slow, and speaks the protocol of SeaweedFS.
OF_EACH_PROTOCOL = (SeaweedFS, Azurite, Google)
