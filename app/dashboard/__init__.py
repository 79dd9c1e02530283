"""optuna-dashboard on the database of trials: serving it, and what it shows besides values."""

from app.dashboard.publish import publish

__all__ = ["publish"]
