"""A batch of images that is too large to score on is halved, once, before there is any trial.

Scores depend on the batch. So all of a study are measured on the same one, the reference sample
too: what was halved is kept with the study, and later runs of it take the half at once.
"""

from optuna.study import Study

from app.console import console
from app.paths import StudyPaths
from app.scores.trace import MIN_IMAGES
from app.settings import StudySettings
from app.workbench import ScoringMemoryError

HALVED = "score.images halved from"
"""An attribute of the study."""


def as_halved(settings: StudySettings, study: Study | None) -> StudySettings:
    """The settings, with half the images if the study has found them too many."""
    images = settings.score.images
    if study is None or study.user_attrs.get(HALVED) != images:
        return settings
    console.print(
        f"Scores are measured on {images // 2} images and not {images}, "
        "for which the memory was too small.",
        soft_wrap=True,
    )
    score = settings.score.model_copy(update={"images": images // 2})
    return settings.model_copy(update={"score": score})


def halve(
    settings: StudySettings, paths: StudyPaths, study: Study, error: ScoringMemoryError
) -> StudySettings:
    """The settings with half the images, for good; `error` again if that cannot be."""
    images = settings.score.images
    if study.get_trials(deepcopy=False) or HALVED in study.user_attrs or images < 2 * MIN_IMAGES:
        raise error
    paths.reference.unlink(missing_ok=True)  # measured on the whole batch, as far as it goes
    study.set_user_attr(HALVED, images)
    return as_halved(settings, study)
