"""Loader of checkpoints from others, without executing anything in the file.

Reads torch files with ``weights_only=True`` and safetensors; finds the tensors under the usual wrapping keys and
strips the usual prefixes. Nothing is guessed beyond that: every name and shape must fit the model.
"""

from __future__ import annotations

import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lossatlas.errors import InputError
from lossatlas.zoo.bounded_reading import check_pickle

WRAPPERS = ("state_dict", "model", "model_state_dict", "net", "params")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
LEGACY_PICKLES = 5
"""That a file of torch before 1.6 begins with: a mark, its version, the system, the object and the keys of its storages."""
MOST_UNPACKED = 64 * 2**20
"""Bytes by which a file's members may exceed the file."""
MOST_WRAPPINGS = 3
"""Deep enough for every framework met; a bound, as a hostile file can wrap itself."""
Model = TypeVar("Model", bound=nn.Module)


def load_checkpoint(path: str | os.PathLike[str], model: Model) -> Model:
    """Put the tensors of a checkpoint into `model`, in place, and return it.

    Args:
        path: a torch file (``.pt .pth .th .t7 .ckpt``) holding tensors by name, or ``.safetensors``.
        model: of the architecture that was saved; its dtypes and device are kept. Left as it was where the file does not fit.

    Raises:
        InputError: no such file, damaged, a pickled whole model, or of another architecture (the names that differ are listed).
    """
    tensors = fit_names(read_checkpoint(path), model.state_dict())
    _check_fit(str(path), tensors, model.state_dict())
    model.load_state_dict({**_counters(model), **tensors})
    return model


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors in a checkpoint by name, on the CPU, wrapping keys removed and names as they stand.

    Raises:
        InputError: no such file, damaged, holding more than plain data, or without named tensors.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("checkpoint", str(file), "a file that exists")
    content = _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file)
    return _unwrap(file, content)


def fit_names(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` without a prefix that all of them carry and `expected` does not, such as DataParallel's ``module.``."""
    named = dict(tensors)
    while prefix := next((p for p in PREFIXES if _only_there(p, named, expected)), ""):
        named = {name.removeprefix(prefix): tensor for name, tensor in named.items()}
    return named


def _only_there(prefix: str, named: Iterable[str], expected: Iterable[str]) -> bool:
    return all(name.startswith(prefix) for name in named) and not any(name.startswith(prefix) for name in expected)


# -- reading -----------------------------------------------------------------------------------------------------


def _check_claims(file: Path) -> None:
    """Check what the file says it holds, before torch allocates memory for it.

    Raises:
        ValueError: more than the file can hold.
    """
    size = file.stat().st_size
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > size + MOST_UNPACKED:
                raise ValueError("compressed members of a far larger size; torch.save compresses nothing")
            for member in members:
                if member.filename.endswith(".pkl"):
                    check_pickle(archive.read(member), size, containers_again=True)
        return
    with file.open("rb") as stream:
        for part in range(LEGACY_PICKLES):
            check_pickle(stream, size, containers_again=True)
            if part == 0 and stream.tell() == size:
                return  # a plain pickle of data


def _read_torch(file: Path) -> Any:
    try:
        _check_claims(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickle protocols it may not know; it then fails below
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch answers damage with nearly any exception
        named = re.search(r"GLOBAL (\S+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and (named or "Unsupported" in str(error)):
            raise _holds_objects(file, named) from error
        raise _damaged(file, error) from error


def _holds_objects(file: Path, named: re.Match[str] | None) -> InputError:
    what = f"such as {named[1]}" if named else "such as a whole pickled model"
    return InputError(
        str(file),
        f"a checkpoint with Python objects ({what}); loading those can run any code",
        "only tensors by name (a state dict)",
        "Where you trust its origin, load it in a session of your own and save torch.save(model.state_dict(), NEW)",
    )


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> InputError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(str(file), f"a file that cannot be read ({reason})", "an intact torch or safetensors file", "Get the file again")


def _unwrap(file: Path, content: Any) -> dict[str, Tensor]:
    for _ in range(MOST_WRAPPINGS):
        content = (
            next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
            if isinstance(content, Mapping)
            else {}
        )
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        keys = ", ".join(map(str, content)) or "none"
        raise InputError(str(file), f"no named tensors (keys: {keys})", f"a state dict, plain or under {', '.join(WRAPPERS)}")
    return tensors


# -- fitting -----------------------------------------------------------------------------------------------------


def _counters(model: nn.Module) -> dict[str, Tensor]:
    """Batch norm's step counters, which files of old torch lack; they matter only to training without momentum."""
    return {name: tensor for name, tensor in model.state_dict().items() if name.endswith("num_batches_tracked")}


def _check_fit(path: str, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    missing = [name for name in expected if name not in tensors and not name.endswith("num_batches_tracked")]
    extra = [name for name in tensors if name not in expected]
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    problems = [
        f"{what} {_some(names)}" for what, names in (("lacks", missing), ("has besides", extra), ("of other shape:", shapes)) if names
    ]
    if problems:
        raise InputError(
            "checkpoint", "another architecture", f"the names and shapes of the model; {path} {'; '.join(problems)}", "Name its network"
        )


def _some(names: list[str], shown: int = 6) -> str:
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")
