"""Local Spark Connect servers. They listen on free loopback ports, and stop with all child processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from program import ENVIRONMENT, ROOT

HERE = "127.0.0.1"
# The virtual environment with PySpark, which includes Spark.
SPARK = Path(os.environ.get("WABALAKE_SPARK", ROOT / ".venv-spark"))


def free_ports(count):
    """Different ports on which nothing listens."""
    listeners = [socket.socket() for _ in range(count)]
    for listener in listeners:
        listener.bind((HERE, 0))
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def free_port():
    return free_ports(1)[0]


class Process:
    """A program in its own process group, so that its children can be stopped with it."""

    def __init__(self, name, command, log, **environment):
        self.name, self.log = name, log
        with log.open("wb") as output:
            self.running = subprocess.Popen(
                [str(word) for word in command], env=ENVIRONMENT | environment, cwd=log.parent,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )

    def wait_for(self, port, seconds=120):
        """Waits until the port accepts connections."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.running.poll() is None, f"{self.name} ended:\n{self.said()[-4000:]}"
            with socket.socket() as client:
                client.settimeout(1)
                if client.connect_ex((HERE, port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError(f"{self.name} does not listen after {seconds} s:\n{self.said()[-4000:]}")

    def said(self):
        return self.log.read_text(errors="replace")

    def kill(self):
        """Kills the whole group at once, like a machine that goes down."""
        self.signal(signal.SIGKILL)
        self.running.wait()

    def stop(self):
        self.signal(signal.SIGTERM)
        try:
            self.running.wait(timeout=20)
        except subprocess.TimeoutExpired:
            pass
        # Children may outlive the parent.
        self.signal(signal.SIGKILL)
        self.running.wait()

    def signal(self, number):
        try:
            os.killpg(self.running.pid, number)
        except ProcessLookupError:
            pass


class Sail:
    """A Sail cluster: two workers, as threads of one process."""

    def __init__(self, folder, **environment):
        self.port = free_port()
        self.server = Process(
            "Sail",
            [Path(sys.executable).parent / "sail", "spark", "server", "--ip", HERE, "--port", self.port],
            folder / "sail.log",
            SAIL_MODE="local-cluster", SAIL_PARALLELISM="2", RUST_LOG="warn",
            SAIL_CLUSTER__WORKER_INITIAL_COUNT="2", SAIL_CLUSTER__WORKER_MAX_COUNT="2",
            SAIL_CLUSTER__WORKER_TASK_SLOTS="32", **environment,
        )
        self.remote = f"sc://{HERE}:{self.port}"

    def wait(self):
        self.server.wait_for(self.port)

    def stop(self):
        self.server.stop()


class Spark:
    """A Spark cluster: a master, two workers of one core each, and a Connect server with a token.

    The server ends a response stream after 5 s or 2 MB (default: 2 min or 1 GB), so that tests meet reattaching.
    """

    TOKEN = "a-token-for-tests"
    LIMITS = {
        "spark.connect.execute.reattachable.senderMaxStreamDuration": "5s",
        "spark.connect.execute.reattachable.senderMaxStreamSize": "2m",
    }

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        found = sorted(SPARK.glob("lib/python3*/site-packages/pyspark"))
        assert found, f"no Spark in {SPARK}: `make .venv-spark` puts it there"
        self.home = found[0]

    def start(self):
        master = free_port()
        self.launch("master", [
            "org.apache.spark.deploy.master.Master", "--host", HERE, "--port", master,
            "--webui-port", free_port(),
        ]).wait_for(master)
        self.workers = []
        for number in (1, 2):
            port = free_port()
            worker = self.launch(f"worker-{number}", [
                "org.apache.spark.deploy.worker.Worker", "--host", HERE, "--port", port, "--webui-port",
                free_port(), "--cores", 1, "--memory", "1g", "--work-dir", self.folder / f"work-{number}",
                f"spark://{HERE}:{master}",
            ])
            worker.wait_for(port)
            self.workers.append(worker)
        self.port = free_port()
        self.connect = self.launch_server(f"spark://{HERE}:{master}")
        self.connect.wait_for(self.port)
        self.remote = f"sc://{HERE}:{self.port}"

    def launch(self, name, words):
        return self.process(
            name, [self.home / "bin/spark-class", *words],
            SPARK_DAEMON_MEMORY="256m", SPARK_MASTER_OPTS="-Dspark.master.rest.enabled=false",
        )

    def launch_server(self, master):
        settings = {
            "spark.driver.host": HERE,
            "spark.driver.bindAddress": HERE,
            "spark.driver.memory": "1g",
            "spark.executor.memory": "768m",
            "spark.executor.cores": "1",
            "spark.connect.grpc.binding.address": HERE,
            "spark.connect.grpc.binding.port": self.port,
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "4",
            "spark.sql.warehouse.dir": self.folder / "warehouse",
            # Not UTC, to prove that the session sets the time zone.
            "spark.sql.session.timeZone": "America/Bogota",
            "spark.sql.ansi.enabled": "false",
            "spark.sql.timestampType": "TIMESTAMP_NTZ",
            **self.LIMITS,
        }
        words = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
        return self.process(
            "connect", [self.home / "sbin/start-connect-server.sh", "--master", master, *words],
            SPARK_CONNECT_AUTHENTICATE_TOKEN=self.TOKEN,
        )

    def process(self, name, command, **environment):
        process = Process(
            name, ["bash", *command], self.folder / f"{name}.log",
            SPARK_HOME=str(self.home), SPARK_LOCAL_IP=HERE, SPARK_LOCAL_HOSTNAME=HERE, SPARK_NO_DAEMONIZE="1",
            SPARK_LOG_DIR=str(self.folder), SPARK_PID_DIR=str(self.folder), PYSPARK_PYTHON=sys.executable,
            **environment,
        )
        self.processes.append(process)
        return process

    def stop(self):
        for process in reversed(self.processes):
            process.stop()
