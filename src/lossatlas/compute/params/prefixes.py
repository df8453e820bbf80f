"""Prefixes that wrappers put before parameter names: `module.`, `model.`, `_orig_mod.`, `base_model.model.`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TypeVar

from lossatlas._util.caller import caller_level

PREFIXES = ("module.", "model.", "_orig_mod.", "base_model.model.")
"""Of DataParallel, of Lightning modules and Transformers heads, of `torch.compile`, and of PEFT."""

Value = TypeVar("Value")


def renaming(names: Iterable[str], reference: Iterable[str]) -> dict[str, str]:
    """New names of those that match a name of `reference` once the prefixes of wrappers are left out on both sides.

    Empty where that would not make either side hold every name of the other, or where two names would become one.

    >>> renaming(["module.0.weight", "module.0.bias"], ["0.weight", "0.bias"])
    {'module.0.weight': '0.weight', 'module.0.bias': '0.bias'}
    >>> renaming(["0.weight"], ["model.0.weight", "model.1.weight"]), renaming(["a"], ["b"])
    ({'0.weight': 'model.0.weight'}, {})
    """
    known, wanted = list(dict.fromkeys(names)), list(dict.fromkeys(reference))
    bare = {_without_prefixes(name): name for name in wanted}
    matches = {name: bare[_without_prefixes(name)] for name in known if _without_prefixes(name) in bare}
    whole = len(matches) == len(known) or len(matches) == len(wanted)
    unique = len(bare) == len(wanted) and len({*matches.values(), *(n for n in known if n not in matches)}) == len(known)
    changes = any(old != new for old, new in matches.items())
    return matches if whole and unique and changes and matches else {}


def rename_to_match(params: Mapping[str, Value], reference: Iterable[str], what: str) -> Mapping[str, Value]:
    """`params` under the names of `reference` where only prefixes of wrappers differ, with a warning; else as they are."""
    names = set(reference)
    if names >= params.keys() or params.keys() >= names or not all(isinstance(name, str) for name in params):
        return params
    new = renaming(params, names)
    if not new:
        return params
    warn_of_renaming(new, what)
    return {new.get(name, name): value for name, value in params.items()}


def warn_of_renaming(new: Mapping[str, str], what: str) -> None:
    """Say which names were taken to be the same."""
    old, name = next((old, name) for old, name in new.items() if old != name)
    warnings.warn(f"{what}: names matched without the prefixes of wrappers, such as {old!r} to {name!r}.", stacklevel=caller_level())


def _without_prefixes(name: str) -> str:
    bare = name.replace("._orig_mod.", ".").replace("._fsdp_wrapped_module.", ".")
    while prefix := next((p for p in PREFIXES if bare.startswith(p) and len(bare) > len(p)), None):
        bare = bare.removeprefix(prefix)
    return bare
