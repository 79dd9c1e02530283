"""Latency as an objective: what every trial is told, from a table or measured."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from app.console import progress_bar
from app.latency.measure import measure_latency
from app.latency.table import LatencyTable
from app.settings import LatencySettings
from spaces import Space


class LatencyMeter:
    """Milliseconds that an architecture's stand-alone network takes for a batch of images."""

    def __init__(
        self, space: Space, settings: LatencySettings, device: torch.device, path: Path
    ) -> None:
        """`path` is where the table is kept, if `settings` want one."""
        self.space, self.settings, self.device, self.path = space, settings, device, path
        self.table = LatencyTable(device, settings.batch, settings.threads)

    def __call__(self, arch: str) -> float:
        """Milliseconds of a forward pass of the settings' batch.

        Random weights and images decide nothing here; their draw leaves the generator as it was.
        """
        with torch.random.fork_rng(devices=[]):
            return self._measure(arch) if self.settings.source == "measured" else self._add_up(arch)

    def _measure(self, arch: str) -> float:
        size = self.space.image_size
        network, shape = self.space.network(arch), (self.settings.batch, 3, size, size)
        return measure_latency(network, shape, self.device, self.settings.threads)

    def _add_up(self, arch: str) -> float:
        known = len(self.table.milliseconds)
        with torch.device("meta"):
            network = self.space.network(arch)
        milliseconds = self.table.predict(network, self.space.image_size)
        if len(self.table.milliseconds) > known:
            self.table.save(self.path)
        return milliseconds

    def prepare(self, archs: Sequence[str], check: Callable[[], None]) -> None:
        """Make the table from the operations of `archs`, unless it has been begun.

        What these lack is measured when a network has it. `check` is called between networks and
        may raise KeyboardInterrupt; what was measured is kept.
        """
        if self.settings.source == "measured" or self.table.milliseconds:
            return
        with progress_bar("Latency table", len(archs)) as advance:
            for arch in archs:
                check()
                self(arch)
                advance(note=f"{len(self.table.milliseconds)} operations")
