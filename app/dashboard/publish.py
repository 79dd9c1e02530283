"""What the dashboard shows besides values: notes, and drawings of the networks on the front."""

from optuna.study import Study
from optuna_dashboard._note import get_note_from_system_attrs, note_ver_key, save_note_with_version

from app.dashboard.artifacts import Attachments, artifact_store
from app.drawing import svg
from app.report.front import Row
from app.report.material import Material
from app.settings import CostName

DRAWING = "architecture.svg"
MARK = "*This note is written by the search; remove this line to keep your edits.*"
MAX_NOTES = 40


def publish(study: Study, material: Material) -> None:
    """Describe the study; give each trial on the front, and each retrained one, note and drawing.

    A trial keeps the drawing that it has, and a note from which a user removed our line. Of a
    long front the best are published.
    """
    attachments = Attachments(study, artifact_store(material.settings.runs))
    notes = Notes(study)
    notes.write(None, _about_study(material))
    ids = {trial.number: trial._trial_id for trial in study.get_trials(deepcopy=False)}
    first = {row.arch: row for row in reversed(material.rows)}
    retrained = [row for row in first.values() if material.retrained(row)]
    for row in dict.fromkeys([*material.best(MAX_NOTES), *retrained]):
        trial_id = ids[row.trial]
        notes.write(trial_id, _about_trial(material, row))
        if not attachments.has(trial_id, DRAWING):
            picture = svg(material.space.sketch(row.arch))
            attachments.attach(trial_id, DRAWING, picture, "image/svg+xml")


class Notes:
    """Notes of a study and its trials, which may be finished: the study keeps them."""

    def __init__(self, study: Study) -> None:
        self.storage, self.study_id = study._storage, study._study_id
        self.attributes = self.storage.get_study_system_attrs(self.study_id)

    def read(self, trial_id: int | None) -> str:
        """The note of a trial, or of the study; empty if there is none."""
        return str(get_note_from_system_attrs(self.attributes, trial_id)["body"])

    def write(self, trial_id: int | None, text: str) -> None:
        """Write the note of a trial, or of the study, unless it is so already or a user's own."""
        old = self.read(trial_id)
        body = f"{text}\n\n{MARK}"
        if body != old and (not old or MARK in old):
            number = self.attributes.get(note_ver_key(trial_id), 0) + 1
            save_note_with_version(self.storage, self.study_id, trial_id, number, body)


def _costs(material: Material) -> str:
    latency = material.settings.latency
    images = "one image" if latency.batch == 1 else f"{latency.batch} images"
    meaning: dict[CostName, str] = {
        "flops": "flops (down) are multiply–adds",
        "latency": f"latency_ms (down) is how long {images} take on the searching machine",
    }
    return "; ".join(meaning[name] for name in material.settings.search.objectives)


def _about_study(material: Material) -> str:
    settings = material.settings
    seconds = ", ".join(f"{stage} {value:.0f} s" for stage, value in material.seconds.items())
    trained = "".join(
        f"\n- {material.name_of(result)}: **{100 * result.test_accuracy:.2f} %** on test images, "
        f"{result.flops / 1e6:.1f} M multiply–adds, {result.epochs} epochs"
        for result in material.results
    )
    return (
        f"## {settings.name}\n\n"
        f"Space `{settings.space}` on `{settings.dataset}` at {settings.image_size} px, seed "
        f"{settings.seed}. The score (up) is a sum of log-quantiles of expressivity, trainability "
        f"and uncertainty on a BatchNorm-only supernet; {_costs(material)}.\n\n"
        f"{len(material.rows)} completed trials, {len(material.front)} on the front. Time: "
        f"{seconds}. Report: `{settings.folder / 'report.html'}`."
        + (f"\n\nTrained from scratch:\n{trained}" if trained else "")
    )


def _latency(row: Row) -> str:
    return "" if row.latency_ms is None else f", {row.latency_ms:.3f} ms"


def _about_trial(material: Material, row: Row) -> str:
    lines = [
        f"Score **{row.score:.3f}**, {row.flops / 1e6:.1f} M multiply–adds, "
        f"{row.params / 1e6:.3f} M parameters{_latency(row)}.",
    ]
    if row in material.front:
        lines.insert(0, f"On the Pareto front after {len(material.rows)} trials.")
    if result := material.retrained(row):
        lines.append(
            f"Trained from scratch for {result.epochs} epochs: **{100 * result.test_accuracy:.2f} "
            f"%** on {result.test_images} test images."
        )
    lines.append(f"`{row.arch}`")
    return "\n\n".join(lines)
