"""optuna-dashboard on the database of trials."""

from pathlib import Path

from app.dashboard.artifacts import artifact_store
from app.errors import InputError
from app.search.storage import open_storage
from app.settings import database_url

HOST = "127.0.0.1"


def serve(runs: Path, storage_url: str | None, port: int) -> None:
    """Serve until interrupted. Raises InputError if there is no database or the port is taken."""
    import optuna_dashboard

    database = runs / "studies.db"
    if storage_url is None and not database.exists():
        raise InputError(f"there is no database '{database}' yet: run a study first")
    storage = open_storage(storage_url or database_url(runs))
    print(f"Dashboard on http://{HOST}:{port}/ (Ctrl-C ends it)", flush=True)
    try:
        store = artifact_store(runs)
        optuna_dashboard.run_server(storage, host=HOST, port=port, artifact_store=store)
    except OSError as error:
        raise InputError(f"cannot listen on port {port} ({error.strerror}): give --port") from None
