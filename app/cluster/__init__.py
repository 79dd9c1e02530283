"""One search on many machines: who is who, what workers share, and the worker itself."""
