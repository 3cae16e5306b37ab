"""A Ray cluster on this machine, of real nodes that can be killed as a machine dies: all processes at once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.patience import PATIENCE, eventually

ROOT = Path(__file__).parents[2]
SLOT = "ray::Slot"  # how Ray calls the process of an executor
OBJECT_BYTES = 80_000_000  # the least that Ray takes is about as much
STANDS = "Ray runtime started"
PORTS = (  # of helpers of a node: with them, Ray does not give up a node whose helpers take 15 seconds to start
    "dashboard-agent-grpc-port",
    "dashboard-agent-listen-port",
    "metrics-export-port",
    "runtime-env-agent-port",
)
PATIENT = {"RAY_agent_register_timeout_ms": f"{PATIENCE * 1000:.0f}", "RAY_raylet_start_wait_time_s": f"{PATIENCE:.0f}"}


class Node:
    """A node with one CPU, which stands once it is made. All its processes are of one session."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._arguments = arguments
        self._printed = Path(tempfile.mkstemp(dir=folder)[1])
        self._begin()
        try:
            eventually(self._has_begun)
        except BaseException:
            self.kill()
            raise

    def stands(self) -> bool:
        return self._process.poll() is None

    def slots(self) -> list[int]:
        """The processes of executors on this node."""
        return [process for process in self._processes() if _command(process).startswith(SLOT)]

    def kill(self) -> None:
        """Ends all processes of the node without a warning."""
        eventually(lambda: not [_kill(process) for process in self._processes()])
        self._process.wait()

    def _begin(self) -> None:
        ports = [f"--{name}={free_port()}" for name in PORTS]
        common = ("--num-cpus=1", f"--object-store-memory={OBJECT_BYTES}", "--include-log-monitor=false", "--block")
        with self._printed.open("w") as printed:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", *self._arguments, *ports, *common],
                env=os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"} | PATIENT,
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )

    def _has_begun(self) -> bool:
        if not self.stands():  # another program has taken one of its ports
            self.kill()
            self._begin()
        return STANDS in self._printed.read_text(errors="replace")

    def _processes(self) -> list[int]:
        processes = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
        return [process for process in processes if _session(process) == self._process.pid]


class RayCluster:
    """A head and nodes on ports of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.nodes: list[Node] = []
        self.head = self._new_head()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def slots(self) -> list[int]:
        return [process for node in (self.head, *self.nodes) for process in node.slots()]

    def add_node(self) -> Node:
        self.nodes.append(Node(self._folder, f"--address={self.address}"))
        return self.nodes[-1]

    def kill_head(self) -> None:
        self.head.kill()

    def restart_head(self) -> None:
        """Starts a head anew where the one of before was killed."""
        self.head = self._new_head()

    def kill(self) -> None:
        for node in (*self.nodes, self.head):
            node.kill()

    def _new_head(self) -> Node:
        return Node(
            self._folder,
            "--head",
            f"--port={self._port}",
            f"--temp-dir={self._folder / 'ray'}",
            f"--ray-client-server-port={free_port()}",
            "--include-dashboard=false",
        )


@contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """A cluster of one node, its head; no process is left of it after the block."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:  # short: it has sockets
        cluster = RayCluster(Path(folder))
        try:
            yield cluster
        finally:
            cluster.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _kill(process: int) -> int:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    return process


def _session(process: int) -> int:
    """The session of a process; 0 of one that has ended."""
    state, _, _, session = (_read(process, "stat").rpartition(")")[2].split() or ["Z", "", "", ""])[:4]
    return 0 if state == "Z" else int(session)


def _command(process: int) -> str:
    return _read(process, "cmdline")


def _read(process: int, file: str) -> str:
    try:
        return Path("/proc", str(process), file).read_text(errors="replace")
    except OSError:  # it has ended
        return ""
