"""What the main run leaves in the database for workers on other machines.

A worker needs what the study was made with, and the supernet and reference sample themselves,
not merely ones of the same definition: trained on another machine, or with another number of
threads, a supernet differs in the last digits and so do its scores. So SHA-256 of both stands
in the study.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from optuna.study import Study
from pydantic import ValidationError
from sqlalchemy.engine import make_url
from torch import Tensor

from app.errors import InputError
from app.scores.reference import Reference
from app.search.connect import is_sqlite
from app.settings import StudySettings
from app.workbench import EvaluationContext

KEY = "shared"
OF_A_MACHINE = {"runs", "data_dir", "storage", "device"}
"""Settings that each machine has its own of."""


@dataclass(frozen=True)
class Shared:
    """An attribute of the study."""

    settings: dict[str, Any]
    """As JSON values, less those of a machine."""
    supernet: str
    """SHA-256, hexadecimal."""
    reference: str

    @staticmethod
    def of(context: EvaluationContext) -> "Shared":
        """What a workbench that is set up has to share."""
        values = context.settings.to_save()
        return Shared(
            {key: value for key, value in values.items() if key not in OF_A_MACHINE},
            supernet_hash(context.training.supernet.state_dict()),
            reference_hash(context.reference),
        )

    def settings_here(self, own: dict[str, Any]) -> StudySettings:
        """The study's settings with this machine's `own`. Raises InputError if they are unknown."""
        try:
            return StudySettings.model_validate(self.settings | own)
        except ValidationError as error:
            field = ".".join(map(str, error.errors()[0]["loc"]))
            raise InputError(
                f"this program cannot read the study's setting '{field}' "
                f"({error.errors()[0]['msg']}): use the version that runs the main command"
            ) from None


def read_shared(study: Study) -> Shared | None:
    """What the study has to share; None before the main run has prepared it."""
    values = study.user_attrs.get(KEY)
    if values is None:
        return None
    values["settings"].get("latency", {}).pop("source", None)  # of earlier versions
    return Shared(**values)


def share(study: Study, context: EvaluationContext) -> None:
    """Leave it for workers; to be called when the workbench is set up.

    Raises InputError if the trials of a study on a server were scored with another supernet or
    sample: those of another machine, where this command was run before.
    """
    now, before = Shared.of(context), read_shared(study)
    paths = context.paths
    if before is not None and not is_sqlite(make_url(context.settings.storage_url)):
        for name, path in (("supernet", paths.supernet), ("reference", paths.reference)):
            if getattr(before, name) != getattr(now, name) and study.get_trials(deepcopy=False):
                raise InputError(
                    f"'{path}' is not what the trials of study '{study.study_name}' were scored "
                    "with: copy that file from the machine where it was made, give "
                    "--study-name NAME for a study beside it, or --fresh to start it again"
                )
    if now != before:
        study.set_user_attr(KEY, asdict(now))


def supernet_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of a supernet's tensors, wherever they lie and in whatever layout."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def reference_hash(reference: Reference) -> str:
    """SHA-256 of the scores of a reference sample."""
    return hashlib.sha256(json.dumps(reference.scores, sort_keys=True).encode()).hexdigest()
