"""Reader of checkpoints, without executing anything in the file.

Reads torch files with ``weights_only=True``, safetensors, and folders that `save_pretrained` wrote; finds the tensors under the
usual wrapping keys. Sizes are checked before memory is taken.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lossatlas._util.bounded_reading import check_pickle
from lossatlas.errors import InputError

WRAPPERS = ("state_dict", "model", "model_state_dict", "net", "params")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
SUFFIXES = (".pt", ".pth", ".th", ".t7", ".ckpt", ".bin", ".safetensors")
PRETRAINED = (
    "adapter_model.safetensors",
    "adapter_model.bin",
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "diffusion_pytorch_model.safetensors",
)
"""Files that `save_pretrained` of PEFT, Transformers and Diffusers write; the first that is there is read."""
LEGACY_PICKLES = 5
"""That a file of torch before 1.6 begins with: a mark, its version, the system, the object and the keys of its storages."""
MOST_UNPACKED = 64 * 2**20
"""Bytes by which a file's members may exceed the file."""
MOST_WRAPPINGS = 3
"""Deep enough for every framework met; a bound, as a hostile file can wrap itself."""


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors in a checkpoint by name, on the CPU, wrapping keys removed and names as they stand.

    Args:
        path: a torch file, a ``.safetensors`` file, or a folder of `save_pretrained` (whole, in shards, or a PEFT adapter).

    Raises:
        InputError: no such file, damaged, holding more than plain data, or without named tensors.
    """
    file = Path(path)
    if file.is_dir():
        return _read_folder(file)
    if not file.is_file():
        raise InputError("checkpoint", str(file), "a file that exists")
    content = _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file)
    return _unwrap(file, content)


def is_checkpoint_folder(path: Path) -> bool:
    """Did `save_pretrained` write this folder?"""
    return path.is_dir() and any((path / name).is_file() for name in PRETRAINED)


def is_adapter(path: str | os.PathLike[str]) -> bool:
    """Is this a PEFT adapter, which holds a part of its model's weights?"""
    file = Path(path)
    name = next((name for name in PRETRAINED if (file / name).is_file()), "") if file.is_dir() else file.name
    return name.startswith("adapter_model")


def fit_names(tensors: Mapping[str, Tensor], expected: Iterable[str]) -> dict[str, Tensor]:
    """`tensors` under the names that are expected: without the prefix of a wrapper around the model, with PEFT's adapter name.

    Args:
        tensors: of a checkpoint.
        expected: names of the model's parameters and buffers.

    >>> sorted(fit_names({"net.0.weight": torch.ones(1), "net.0.bias": torch.ones(1)}, ["0.weight", "0.bias"]))
    ['0.bias', '0.weight']
    """
    names = list(expected)
    shortened = {_without_adapter_name(name): name for name in names}
    known = set(names)
    named = {name if name in known else shortened.get(name, name): tensor for name, tensor in tensors.items()}
    while prefix := next((p for p in PREFIXES if _only_there(p, named, names)), ""):
        named = {name.removeprefix(prefix): tensor for name, tensor in named.items()}
    if known & named.keys() or not names:
        return named
    # Any other attribute of a wrapper, such as the backbone of a LightningModule, where only one place fits.
    ends = [name.removesuffix(names[0]) for name in tensors if name.endswith(f".{names[0]}")]
    places = [prefix for prefix in ends if all(prefix + other in tensors for other in names)]
    if len(places) != 1:
        return named
    return {name.removeprefix(places[0]): tensor for name, tensor in tensors.items() if name.startswith(places[0])}


def _without_adapter_name(name: str) -> str:
    """PEFT writes its default adapter without the name that the module has for it."""
    return name.replace(".modules_to_save.default.", ".").replace(".default.", ".").removesuffix(".default")


def _only_there(prefix: str, named: Iterable[str], expected: Iterable[str]) -> bool:
    return all(name.startswith(prefix) for name in named) and not any(name.startswith(prefix) for name in expected)


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


def _read_folder(folder: Path) -> dict[str, Tensor]:
    """The weights that `save_pretrained` left, from one file or from the shards that an index names."""
    name = next((name for name in PRETRAINED if (folder / name).is_file()), None)
    if name is None:
        raise InputError("checkpoint", str(folder), f"a folder of save_pretrained, which holds {PRETRAINED[0]} or {PRETRAINED[2]}")
    if not name.endswith(".json"):
        return read_checkpoint(folder / name)
    try:
        shards = sorted(set(json.loads((folder / name).read_text())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise _damaged(folder / name, error) from error
    if not all(isinstance(shard, str) and Path(shard).name == shard for shard in shards):
        raise InputError(str(folder / name), "shards outside their folder", "names of files beside the index", "Get the folder again")
    return {key: tensor for shard in shards for key, tensor in read_checkpoint(folder / shard).items()}


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
