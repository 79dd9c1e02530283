"""Where the files of a study lie."""

import shutil
from pathlib import Path

from app.atomic import check_output
from app.errors import InputError
from app.study_file import SAVED


class StudyPaths:
    """Where everything of a study lies, except its trials."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.supernet = folder / "supernet.pt"
        self.reference = folder / "reference.json"
        self.front = folder / "front.csv"
        self.picture = folder / "front.png"
        self.report = folder / "report.html"
        self.reports = (self.front, self.picture, self.report)
        self.study_file = folder / SAVED
        self.retrained = folder / "retrained"
        self.comparison = self.retrained / "comparison.csv"
        self.rank = folder / "rank"

    def check_writable(self) -> None:
        """Raises InputError unless the folder is there or can be made; makes nothing."""
        try:
            check_output(self.study_file)
        except InputError as error:
            raise InputError(f"{error}; give --runs DIR") from None

    def discard(self) -> None:
        """Delete what a run has made; networks that were retrained have cost too much, and stay."""
        earlier = self.folder / "report.md"  # earlier versions wrote it
        for path in (self.supernet, self.reference, *self.reports, earlier):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.rank, ignore_errors=True)
