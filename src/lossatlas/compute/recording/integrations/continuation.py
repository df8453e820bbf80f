"""Whether the recording of a training framework goes on with the one that lies in its archive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossatlas.archive import Archive, Location, as_archive
from lossatlas.errors import InputError


def open_for_training(
    archive: Location | Archive | None, resume: bool | None, step: int, options: Mapping[str, Any], how_to_continue: str
) -> tuple[Archive, bool]:
    """The archive, open, and whether a training that begins at `step` continues the recording in it.

    Args:
        archive: as for `Recorder`.
        resume: as the user said; None continues where the training itself does.
        step: updates that the training begins with; 0 unless it continues from a checkpoint.
        options: of `Recorder`.
        how_to_continue: how a training of this framework is continued from a checkpoint.

    Raises:
        InputError: a training from step 0 would replace a recording that is there.
    """
    opened, name, overwrite = (
        as_archive(archive, repair=bool(options.get("overwrite"))),
        options.get("name", "run"),
        options.get("overwrite"),
    )
    recorded = name in opened.trajectories
    if recorded and not overwrite and not resume and not step:
        steps = opened.trajectory(name)["step"].values
        problem = f"{opened.location}, where {name!r} holds a recording of {int(steps[-1]) if len(steps) else 0:,} steps"
        advice = f"Pass overwrite=True to replace it or name= to keep both; to continue that training, {how_to_continue}"
        raise InputError("archive", problem, "a new recording, for this training starts at step 0", advice)
    return opened, recorded and step > 0 and not overwrite if resume is None else resume
