"""How long networks take on this machine: measured, or predicted from a table of operations."""

from app.latency.measure import measure_latency, threads
from app.latency.table import LatencyTable

__all__ = ["LatencyTable", "measure_latency", "threads"]
