"""Runs the ledger: every statement or some, in two processes, and reports what is discharged."""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING

from pnc.errors import InvalidInputError

from .references import STATEMENTS

if TYPE_CHECKING:
    from .ledger import Depth, Report, Statement, StatementResult, VariantResult

__all__ = ["MODULES", "require_provers", "statement", "verify", "wrong_variants"]

MODULES = {
    "T1": "t1_gram_law",
    "T2": "t2_compression",
    "T3": "t3_any_data",
    "T4": "t4_separation_fuzziness",
    "T5": "t5_compression_rate",
    "T6": "t6_discrimination",
    "T7": "t7_moment_law",
    "T8": "t8_certificate",
    "T9": "t9_default_weights",
    "U1": "u1_rank_from_compression",
    "U2": "u2_stable_rank",
    "U3": "u3_separability",
    "U4": "u4_after_projection",
    "U5": "u5_attribution",
    "U6": "u6_readout_and_weights",
    "Y1": "y1_mode_dynamics",
    "Y2": "y2_exact_reduction",
    "Y3": "y3_economical_step",
    "Y4": "y4_krylov_coordinates",
    "Y5": "y5_depth_exponent",
    "R1": "r1_residual_gram_law",
    "R3": "r3_residual_bounds",
    "R6": "r6_embedding_and_two_matrices",
    "V1": "v1_weight_decay",
    "V3": "v3_death_and_escape",
    "E2": "e2_cross_entropy",
    "N1": "n1_initialisation",
    "RL1": "rl1_trained_relu",
    "RL3": "rl3_never_revived",
}

COVERED_BY = {
    "U7": "U6",
    "RL4": "RL1",
    "RL5": "U5",
    "RL6": "N1",
    "R0": "R1",
    "R2": "R1",
    "R4": "R3",
    "R5": "R3",
    "R7": "R6",
    "V2": "V1",
    "E1": "V1",
    "V4": "V3",
    "V5": "V3",
    "E3": "E2",
    "E4": "E2",
}
"""Statements of the theory note whose proof is part of another's."""

DEPTHS = ("quick", "standard", "deep")
PROCESSES = 2


def require_provers() -> None:
    """Refuse to start without the packages that do the proving.

    Raises:
        InvalidInputError: python-flint or z3-solver is missing.
    """
    missing = [name for name in ("flint", "z3") if importlib.util.find_spec(name) is None]
    if missing:
        raise InvalidInputError(
            got=f"no module {' or '.join(missing)}",
            expected="python-flint (ball arithmetic) and z3-solver, which check the proofs",
            next_step="pip install python-flint z3-solver",
        )


def statement(number: str) -> Statement:
    """The statement of that number with its proof.

    Raises:
        InvalidInputError: an unknown number, or the provers are not installed.

    >>> statement("T5").title
    'compression rate'
    """
    require_provers()
    (name,) = _numbers([number])
    return importlib.import_module(f".{MODULES[name]}", __package__).STATEMENT


def _numbers(only: str | Iterable[str] | None) -> list[str]:
    if only is None:
        return list(STATEMENTS)
    wanted = [only] if isinstance(only, str) else list(only)
    wanted = [part.strip().upper() for item in wanted for part in item.split(",") if part.strip()]
    wanted = [COVERED_BY.get(name, name) for name in wanted]
    unknown = [name for name in wanted if name not in STATEMENTS]
    if unknown or not wanted:
        raise InvalidInputError(
            got=f"statement {', '.join(unknown) or 'of no name'}",
            expected=f"one of {', '.join(STATEMENTS)}",
            next_step="pass for instance --only T5",
        )
    return [name for name in STATEMENTS if name in wanted]


def _check(number: str, depth: Depth, seed: int) -> StatementResult:
    from .ledger import Scope, check_statement

    return check_statement(statement(number), Scope(depth=depth, seed=seed))


def _variants(number: str, depth: Depth, seed: int) -> tuple[VariantResult, ...]:
    from .ledger import Scope, check_variants

    return check_variants(statement(number), Scope(depth=depth, seed=seed))


def verify(
    only: str | Iterable[str] | None = None,
    *,
    depth: Depth = "standard",
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    processes: int = PROCESSES,
) -> Report:
    """Run the proof of every statement, or of those named, and report each step.

    Args:
        only: a number such as `"T5"`, several of them, or None for all.
        depth: `quick`, `standard` or `deep`: how many instances the ball checks and stress tests try; the identities
            and scalar inequalities are proved in full at every depth.
        seed: of the random instances.
        progress: called with one line whenever a statement is done.
        processes: how many statements are worked on at once; 1 keeps everything in this process.

    Raises:
        InvalidInputError: an unknown statement or depth, or the provers are not installed.

    >>> verify("Y3", depth="quick", processes=1).status.value
    'DISCHARGED'
    """
    require_provers()
    from .ledger import Report

    if depth not in DEPTHS:
        raise InvalidInputError(
            got=f"depth {depth!r}", expected=f"one of {', '.join(DEPTHS)}", next_step="pass --depth standard"
        )
    numbers = _numbers(only)
    start = time.perf_counter()
    found = {}
    for number, result in _each(numbers, depth, seed, processes):
        found[number] = result
        if progress is not None:
            progress(f"{number} {result.status.value}: {result.title}, {result.seconds:.1f} s")
    return Report(
        statements=tuple(found[number] for number in numbers),
        depth=depth,
        seed=seed,
        seconds=time.perf_counter() - start,
    )


def _each(numbers: list[str], depth: Depth, seed: int, processes: int):
    if processes < 2 or len(numbers) < 2:
        for number in numbers:
            yield number, _check(number, depth, seed)
        return
    # a fresh interpreter for each worker: forking a process that holds other threads is unsafe
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = {pool.submit(_check, number, depth, seed): number for number in numbers}
        for future in as_completed(futures):
            yield futures[future], future.result()


def wrong_variants(
    only: str | Iterable[str] | None = None, *, depth: Depth = "standard", seed: int = 0
) -> tuple[VariantResult, ...]:
    """Put every deliberately wrong variant through the machinery; each has to come back REFUTED.

    Raises:
        InvalidInputError: an unknown statement, or the provers are not installed.

    >>> all(result.rejected for result in wrong_variants("T5", depth="quick"))
    True
    """
    return tuple(result for number in _numbers(only) for result in _variants(number, depth, seed))
