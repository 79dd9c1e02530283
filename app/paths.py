"""Where the files of a study lie."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from app.atomic import check_output
from app.errors import InputError
from app.study_file import SAVED


@dataclass(frozen=True)
class StudyPaths:
    """Where everything of a study lies, except its trials."""

    folder: Path

    @property
    def supernet(self) -> Path:
        """The checkpoint of the supernet."""
        return self.folder / "supernet.pt"

    @property
    def reference(self) -> Path:
        """The scored reference sample."""
        return self.folder / "reference.json"

    @property
    def front(self) -> Path:
        """The Pareto front as a table."""
        return self.folder / "front.csv"

    @property
    def picture(self) -> Path:
        """The Pareto front as a picture."""
        return self.folder / "front.png"

    @property
    def report(self) -> Path:
        """The report, an HTML page."""
        return self.folder / "report.html"

    @property
    def study_file(self) -> Path:
        """What the study was last run with, for the commands that go on from it."""
        return self.folder / SAVED

    @property
    def retrained(self) -> Path:
        """The folder of the networks that were trained from scratch."""
        return self.folder / "retrained"

    @property
    def comparison(self) -> Path:
        """The networks of the last `retrain` as a table."""
        return self.retrained / "comparison.csv"

    @property
    def rank(self) -> Path:
        """The folder of the rank benchmark."""
        return self.folder / "rank"

    @property
    def lock(self) -> Path:
        """Held by the process that makes supernet and reference sample, see `app.locks`."""
        return self.folder / "lock"

    @property
    def reports(self) -> tuple[Path, ...]:
        """What the end of a run writes."""
        return self.front, self.picture, self.report

    def check_writable(self) -> None:
        """Raises InputError unless the folder is there or can be made; makes nothing."""
        try:
            check_output(self.lock)
        except InputError as error:
            raise InputError(f"{error}; give --runs DIR") from None

    def discard(self) -> None:
        """Delete what a run has made; networks that were retrained have cost too much, and stay."""
        earlier = self.folder / "report.md"  # earlier versions wrote it
        for path in (self.supernet, self.reference, *self.reports, earlier):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.rank, ignore_errors=True)
