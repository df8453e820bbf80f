"""Engine: how an evaluation computes its cells (evaluator, precision, executor, tiles), apart from what it measures."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from lossatlas._util.argument_checks import check_choice, check_integer, check_number, check_text
from lossatlas._util.keywords import advice_for
from lossatlas.compute.evaluation.evaluators.selection import Named
from lossatlas.compute.evaluation.executors import executor_named
from lossatlas.compute.objective.objective import Precision
from lossatlas.errors import InputError

Sampling = Literal["all", "multilevel", "auto"]


@dataclass(frozen=True)
class Engine:
    """Options of the computation of a surface's cells; none of them but `precision` changes a value beyond rounding.

    Attributes:
        evaluator: "loop", one point after the other; "vmap", many together; "affine", for planes that leave the first
            layers alone; "auto" probes and takes the fastest.
        chunk: points that "vmap" or "affine" do together; None chooses.
        precision: "bf16" computes under bfloat16 autocast, errs by up to 1 % of the loss, and is named on figures.
        compile: also try `torch.compile`; worth it from about 500 points of 20 ms each. Compiled values are compared with the
            loop's at the corners first, then in every tile at one cell in sixteen and wherever they are not finite.
        executor: who measures the tiles: "serial", "threads", "processes", "ray" or "ray://host:port"; "auto" uses threads
            where points take long enough, but never where a callable, model, loss or metric reaches what threads would share.
        workers: threads or processes; None takes as many as PyTorch would use inside an operation.
        tile: cells stored at a time; None aims at one second. It changes no value.
        retries: how often a tile may fail on "processes" or "ray" before the run ends.
        timeout: seconds after which a tile there counts as lost and is tried again; None waits.
        sampling: what `evaluate(tol=...)` may leave out: "all" takes every sample at the cells that it computes; "multilevel"
            estimates every cell from some of the samples (multilevel Monte Carlo with per-sample control variates, Giles
            2015); "auto" takes that where a pilot says it needs less than a tenth of the passes.
        sampling_seed: of the order in which samples are drawn.

    Raises:
        InputError: a field of another type or beyond its limits.

    Example:
        >>> Engine(executor="threads", workers=4).workers
        4
    """

    evaluator: str = "auto"
    chunk: int | None = None
    precision: Precision = "full"
    compile: bool = False
    executor: str = "auto"
    workers: int | None = None
    tile: int | None = None
    retries: int = 2
    timeout: float | None = None
    sampling: Sampling = "auto"
    sampling_seed: int = 0

    def __post_init__(self) -> None:
        check_choice("evaluator", self.evaluator, get_args(Named))
        check_choice("precision", self.precision, get_args(Precision))
        if not isinstance(self.compile, bool):
            raise InputError("compile", self.compile, "True or False")
        if check_text("executor", self.executor) != "auto":
            executor_named(self.executor)
        for argument in ("chunk", "workers", "tile"):
            if (value := getattr(self, argument)) is not None:
                check_integer(argument, value, least=1, most=2**31)
        check_integer("retries", self.retries, least=0)
        check_choice("sampling", self.sampling, get_args(Sampling))
        check_integer("sampling_seed", self.sampling_seed, least=0)
        if self.timeout is not None:
            check_number("timeout", self.timeout, above=0)


def check_engine(engine: Any, *used: str) -> Engine:
    """An engine; where only the fields `used` have a meaning, the others must be left as they are.

    Raises:
        InputError: something else, or a field that would be ignored.
    """
    if not isinstance(engine, Engine):
        raise InputError("engine", engine, "an Engine", 'Make one: engine=la.Engine(executor="threads")')
    plain = Engine()
    ignored = [f.name for f in fields(Engine) if used and f.name not in used and getattr(engine, f.name) != getattr(plain, f.name)]
    if ignored:
        raise InputError("engine", engine, f"an Engine that sets {', '.join(used)} alone", f"Leave {', '.join(ignored)} out")
    return engine


EVALUATE_KEYWORDS = ("bounds", "resolution", "metrics", "archive", "tol", "tol_scale", "name", "title", "overwrite", "progress", "on_tile")


def refuse_unknown_keywords(function: str, unknown: dict[str, Any]) -> None:
    """Name the right place of a keyword that a function does not have.

    Raises:
        InputError: there is one.
    """
    for argument, value in unknown.items():
        is_engine = argument in {f.name for f in fields(Engine)}
        advice = advice_for(argument, EVALUATE_KEYWORDS) or f"help(lossatlas.{function}) lists them"
        step = f"Pass engine=la.Engine({argument}={value!r})" if is_engine else advice
        raise InputError(argument, value, f"a keyword argument of {function}", step)
