"""torchrun over two hosts: the supernet of one process, dead ranks, and lost links."""

import os
import signal
import sys
import time
from pathlib import Path
from statistics import median

import torch
from hosts_job import Job, print_row
from test_bed import Command, Host, TestBed

from app.cli import main as bnnas
from app.supernet.checkpoint import load_checkpoint

STEPS = 12
"""As many as the tests compare: rounding errors grow with every step, the more so the smaller the
batch; with 4 images a group, a change by 1e-6 of one weight is one by 1 after 12 steps."""

WELL_CONDITIONED = ("--set", "image_size=16", "--set", "supernet.batch_size=64")


SECONDS_TO_END = 1000
"""A step waits 5 minutes, and torchrun of a host that is cut off some more for the others."""


class Training:
    """A supernet, trained by one process or by two hosts that share a folder."""

    def __init__(self, bed: TestBed, name: str, steps: int = STEPS) -> None:
        self.job = Job(bed, f"torchrun_{name}", 8)
        self.hosts = [bed.main, bed.workers[1]]
        self.runs = bed.main.folder.parent / "shared" / name
        study = ("--study-name", name, "--runs", self.runs, "--train-steps", steps)
        self.words = self.job.main(*study, *WELL_CONDITIONED)
        self.file = self.runs / name / "supernet.pt"

    def alone(self) -> Command:
        """Train in one process."""
        return self.hosts[0].call(lambda: bnnas(self.words), own_account=False)

    def torchrun(self) -> list[Command]:
        """Train on two hosts, one process each; root's account, for the folder is shared."""
        return [self._torchrun(host) for host in self.hosts]

    def _torchrun(self, host: Host) -> Command:
        # by itself torchrun goes by the name of the host, and all hosts here have one name
        meeting = [f"--rdzv_conf=is_host={int(host is self.hosts[0])}"]
        meeting += [f"--rdzv_endpoint={self.hosts[0].address}:29500", "--rdzv_backend=c10d"]
        options = ["--nnodes=2", "--nproc_per_node=1", "--rdzv_id=1", *meeting]
        words = ["torch.distributed.run", *options, f"--local_addr={host.address}", "main.py"]

        def run() -> None:
            os.environ["GLOO_SOCKET_IFNAME"] = "eth0"
            os.execv(sys.executable, [sys.executable, "-m", *words, *self.words])

        return host.call(run, own_account=False)

    def wait_for_training(self, commands: list[Command]) -> None:
        """Wait until the first steps are done."""
        found = "Training in 2 processes"
        self.job.wait_until(lambda: any(found in c.text for c in commands), "training")
        time.sleep(5)

    def signal_rank(self, host: Host, number: int) -> None:
        """Send a signal to the host's process of the training, not to torchrun itself."""
        for pid in host.pids():
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"main.py" in words and b"torch.distributed.run" not in words:
                os.kill(pid, number)

    def row(self, what: str, commands: list[Command], other: "Training | None" = None) -> None:
        """Wait for the commands, compare the supernet with another's, and print a row."""
        begun = time.monotonic()
        ends = [command.wait(SECONDS_TO_END) for command in commands]
        lines = [n for c in commands for n in c.text.splitlines() if n.startswith("error: ")]
        outcome = f"status {'/'.join(map(str, ends))}; {'; '.join(lines) or 'no error'}"
        if other is not None:
            a, b = (load_checkpoint(t.file)["supernet"] for t in (self, other))
            x, y = (torch.cat([s[key].flatten().double() for key in b]) for s in (a, b))
            apart = float((x - y).norm() / y.norm())
            outcome += f"; {apart:.1e} from the supernet of one process"
            Job.faults += apart > 1e-4
        Job.faults += None in ends or (other is not None and any(ends)) or len(lines) > 1
        self.job.bed.end_commands()
        print_row(what, outcome, time.monotonic() - begun)


def torchrun(bed: TestBed) -> None:
    """Two hosts, a rank killed, a link cut for good, and another number of ranks."""
    one = Training(bed, "one")
    one.row("1 process", [one.alone()])
    two = Training(bed, "two")
    two.row("2 hosts", two.torchrun(), one)

    three = Training(bed, "three", steps=300)
    commands = three.torchrun()
    three.wait_for_training(commands)
    three.signal_rank(three.hosts[1], signal.SIGTERM)
    three.row("a rank interrupted", commands)
    three.row("1 process goes on", [three.alone()])

    long = Training(bed, "long", steps=10**5)
    commands = long.torchrun()
    long.wait_for_training(commands)
    long.signal_rank(long.hosts[1], signal.SIGKILL)
    long.row("a rank killed", commands)
    commands = long.torchrun()
    long.wait_for_training(commands)
    long.hosts[1].cut()
    long.row("link cut for good", commands)


def torchrun_speed(bed: TestBed) -> None:
    """Steps a second of 2 hosts with 1 thread each against 1 process with 2 threads, in turns."""
    ratios = []
    for turn in range(3):
        seconds = []
        for name, hosts in (("one", 1), ("two", 2)):
            training = Training(bed, f"{name}_{turn}", steps=400)
            os.environ["OMP_NUM_THREADS"] = str(3 - hosts)
            torch.set_num_threads(3 - hosts)
            commands = training.torchrun() if hosts == 2 else [training.alone()]
            training.row(f"{name}, turn {turn + 1}", commands)
            seconds.append(load_checkpoint(training.file)["seconds"])
        ratios.append(seconds[0] / seconds[1])
    print(f"2 ranks × 1 thread against 1 × 2 threads: {median(ratios):.2f} times as fast {ratios}")
