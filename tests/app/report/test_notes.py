"""Notes in Markdown, which the dashboard renders with the HTML in them."""

from app.report.data import ReportData
from app.report.notes import study_note


def test_a_dangerous_name_stays_inside_code(data: ReportData) -> None:
    config = data.config.model_copy(update={"dataset": "a`\n\n<img onerror=alert(1)>`"})
    note = study_note(data.__class__(**{**vars(data), "config": config}))
    assert "`a <img onerror=alert(1)> `" in note
