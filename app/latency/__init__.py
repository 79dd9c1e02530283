"""How long networks take on this machine: measured, or predicted from a table of operations."""

from app.latency.measure import machine, measure_latency, threads
from app.latency.meter import LatencyMeter
from app.latency.table import LatencyTable

__all__ = ["LatencyMeter", "LatencyTable", "machine", "measure_latency", "threads"]
