"""All report files of a study."""

from app.paths import StudyPaths
from app.report.front import write_front
from app.report.html import write_html
from app.report.markdown import write_report
from app.report.material import Material
from app.report.picture import write_picture


def write_reports(paths: StudyPaths, material: Material) -> None:
    """Write `front.csv`, `front.png`, `report.md` and `report.html`."""
    settings, rows, front = material.settings, material.rows, material.front
    write_front(paths.front, front)
    write_picture(
        paths.picture,
        rows,
        front,
        material.costs,
        settings.search.max_flops,
        f"{settings.name}: {settings.space} on {settings.dataset_name}, {len(rows)} trials",
    )
    write_report(paths.report, material)
    write_html(paths.page, material)
