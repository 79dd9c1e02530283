"""optuna-dashboard on the database of trials."""

from pathlib import Path

from app.atomic import is_file
from app.dashboard.artifacts import artifact_store
from app.errors import InputError
from app.search.overview import ONE_IN, SHOWN_FIRST, OverviewStorage
from app.search.storage import Storage, open_storage
from app.settings import DATABASE, database_url

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    runs: Path,
    storage_url: str | None,
    port: int,
    every_trial: bool = False,
    host: str = LOOPBACK[0],
) -> None:
    """Serve until interrupted, large studies in part unless `every_trial` is to be shown.

    Raises InputError if there is no database or the port is taken.
    """
    import optuna_dashboard

    database = runs / DATABASE
    if storage_url is None and not is_file(database):
        raise InputError(f"there is no database '{database}' yet: run a study first")
    kind = Storage if every_trial else OverviewStorage
    storage = open_storage(storage_url or database_url(runs), kind)
    for study in storage.get_all_studies():  # read now, so that the first page need not wait
        shown = len(storage.get_all_trials(study._study_id, deepcopy=False))
        if shown > SHOWN_FIRST and not every_trial:
            print(
                f"{study.study_name}: after the first {SHOWN_FIRST}, trials that improved the "
                f"front and one in {ONE_IN} of the others are shown; --every-trial shows all"
            )
    if host not in LOOPBACK:
        print(
            "The dashboard has no login: whoever reaches this address can read and change "
            "the studies. Without --host, only this machine can."
        )
    print(f"Dashboard on http://{host}:{port}/ (Ctrl-C ends it)", flush=True)
    try:
        store = artifact_store(runs)
        optuna_dashboard.run_server(storage, host=host, port=port, artifact_store=store)
    except OSError as error:
        place = f"port {port} of {host[:100]}"
        raise InputError(f"cannot listen on {place} ({error.strerror}): give --port") from None
