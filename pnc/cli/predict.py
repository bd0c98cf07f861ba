"""`pnc predict`: what theory says of every layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pnc.cli.declared import declared
from pnc.cli.options import JsonOption
from pnc.cli.output import abridged, number, print_curve, print_json, print_table, say, span
from pnc.fields import Group
from pnc.runs.requests import InitialSource, ProblemSource
from pnc.spec import NetworkSpec, VariantSpec

if TYPE_CHECKING:
    from pnc.data import Problem

__all__ = ["predict"]


@declared()
def predict(
    context: typer.Context,
    source: ProblemSource,
    network: Annotated[NetworkSpec, Group(defaults={"depth": 6})],
    variant: VariantSpec,
    initial: InitialSource,
    symbolic: Annotated[
        bool, typer.Option("--symbolic", help="Print the formulas; --substitute puts the given numbers in.")
    ] = False,
    substitute: Annotated[bool, typer.Option("--substitute", help="With --symbolic: numbers for letters.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="With --symbolic: LaTeX.")] = False,
    json: JsonOption = False,
) -> None:
    """What theory says of every layer of a trained deep linear network, or of a nonlinear one before its training (N1).

    Trains nothing. `pnc predict mlp --data fashion-mnist` takes the first samples of every class.
    """
    from pnc.data import resolve_data
    from pnc.theory import bounds, measure_data
    from pnc.theory import predict as predict_curve

    given = _given(context)
    if initial.name is not None:
        _predict_network(initial, source, network, given, json=json)
        return
    _refuse(given & set(vars(InitialSource())), "a deep linear network, without NET")
    if symbolic:
        _print_formulas(network, source, substitute=substitute, latex=latex)
        return
    if not variant.plain:
        _predict_variant(resolve_data(**vars(source), whole=True), network, variant, json=json)
        return
    problem = resolve_data(**vars(source), whole=False)
    curve, limits = predict_curve(problem, network), bounds(problem, network)
    if json:
        result = curve.to_dict()
        result["provenance"]["data"] = dict(problem.provenance)
        result["provenance"]["notes"] = list(problem.notes)
        result["bounds"] = limits.to_dict()
        result["assumptions"] = measure_data(problem).to_dict()
        from pnc.curves import json_ready

        print_json(json_ready(result))
        return
    from pnc.cli.describe import describe_network, describe_problem

    say(describe_problem(problem))
    say(describe_network(network))
    say(f"law: {curve.origin.statement}, {curve.origin.reason}")
    shown = abridged(network.depth)
    print_table(
        ["layer", "C", "bounds (T5)", "D", "bounds (T6)", "tr Σ_W", "tr Σ_B", "fuzziness"],
        (
            [
                str(l),
                number(curve.compression[i]),
                span(limits.compression_lower[i], limits.compression_upper[i]),
                number(curve.discrimination[i], 6),
                span(limits.discrimination_lower[i], limits.discrimination_upper[i], 6),
                number(curve.within_scatter[i]),
                number(curve.between_scatter[i]),
                number(curve.separation_fuzziness[i]),
            ]
            for i, l in zip(shown, curve.layers[shown].tolist())
        ),
    )
    if len(shown) < network.depth:
        say(f"{len(shown)} of {network.depth} layers are shown; --json gives all")
    for name, reason in (curve.origin.not_applicable or {}).items():
        say(f"{name} does not apply: {reason}")


def _given(context: typer.Context) -> set[str]:
    """Names of the options on the command line that is being run."""
    return {name for name in context.params if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"}


def _refuse(names: set[str], subject: str) -> None:
    from pnc.errors import InvalidInputError

    for name in sorted(names):
        raise InvalidInputError(
            got=f"`{name}` with {subject}",
            expected="options that have a meaning for it",
            next_step=f"leave out `{name}`",
        )


def _predict_network(
    initial: InitialSource, source: ProblemSource, spec: NetworkSpec, given: set[str], *, json: bool
) -> None:
    """N1: every layer before training, with the interval in which a draw of the weights lies."""
    from pnc.errors import InvalidInputError
    from pnc.runs import DataSource, load_labelled, predict_network

    known = set(vars(initial)) | {"net", "width", "depth", "seed", "data", "data_dir", "samples_per_class", "size"}
    _refuse(given - known - {"json"}, f"the network {initial.name}")
    if source.data is None:
        raise InvalidInputError(
            got=f"the network {initial.name} without `data`",
            expected="labelled data",
            next_step="pass for instance `data=fashion-mnist`",
        )
    names = ("data", "data_dir", "samples_per_class", "size")
    data = load_labelled(DataSource(**{name: getattr(source, name) for name in names}))
    network = initial.network(
        width=spec.width if "width" in given else None, depth=spec.depth if "depth" in given else None, seed=source.seed
    )
    found = predict_network(network, data.train, draws=initial.draws)
    if json:
        from pnc.curves import json_ready

        result = found.to_dict()
        result["provenance"] |= {"data": dict(data.source), "network": vars(network)}
        print_json(json_ready(result))
        return
    say(f"{network.name} before training, on {data.source['name']}: the first {found.samples} samples, class by class")
    say(f"law: N1, wide networks with independent weights ({network.initial}); intervals: 3 standard deviations,")
    say(f"of C and D from {found.spread}, of fuzziness from {initial.draws} draws")
    curve, shown = found.predicted, abridged(len(found.predicted))
    print_table(
        ["layer", "name", "C", "a draw's C", "D", "a draw's D", "tr Σ_W", "tr Σ_B", "fuzziness", "a draw's"],
        (
            [
                str(l),
                found.names[i],
                number(curve.compression[i]),
                span(*found.compression_interval[i].tolist()),
                number(curve.discrimination[i], 5),
                span(*found.discrimination_interval[i].tolist(), digits=5),
                number(curve.within_scatter[i]),
                number(curve.between_scatter[i]),
                number(curve.separation_fuzziness[i]),
                span(*found.fuzziness_interval[i].tolist()),
            ]
            for i, l in zip(shown, curve.layers[shown].tolist())
        ),
    )
    for note in found.notes:
        say(f"note: {note}")


def _predict_variant(problem: Problem, network: NetworkSpec, variant: VariantSpec, *, json: bool) -> None:
    """Residual networks, weight decay, cross-entropy: no T5 and T6, but R3 where it applies."""
    from pnc.theory import measure_data
    from pnc.theory.residual import residual_ratio_bounds
    from pnc.theory.variant import predict_variant, residual_network

    curve, data = predict_variant(problem, network, variant), measure_data(problem)
    bounds = None
    if curve.origin.statement == "R1" and data.gram_invertible and data.theta_spectral < 1:
        ratios = residual_ratio_bounds(data.theta_spectral, problem.counts, residual_network(network, variant))
        first = curve.compression[0]
        bounds = first * ratios.cumulative_lower, first * ratios.cumulative_upper
    if json:
        from pnc.curves import json_ready

        result = curve.to_dict()
        result["provenance"]["data"] = dict(problem.provenance)
        result["provenance"]["notes"] = list(problem.notes)
        lower, upper = bounds or (None, None)
        result["bounds"] = {"compression_lower": lower, "compression_upper": upper}
        result["assumptions"] = data.to_dict()
        result["variant"] = variant.to_dict()
        print_json(json_ready(result))
        return
    from pnc.cli.describe import describe_network, describe_problem, describe_variant

    say(describe_problem(problem))
    say(describe_network(network))
    say(describe_variant(variant))
    say(f"law: {curve.origin.statement}, {curve.origin.reason}")
    print_curve(curve, bounds=bounds, bound="R3")
    for name, text in (("margin", "margin z = {:.6g}"), ("loss", "cross-entropy {:.4g}"), ("note", "note: {}")):
        if name in curve.origin.further:
            say(text.format(curve.origin.further[name]))
    if curve.origin.further.get("directions_lost"):
        say(f"{curve.origin.further['directions_lost']} directions have died at this weight decay (V3)")


def _print_formulas(network: NetworkSpec, source: ProblemSource, *, substitute: bool, latex: bool) -> None:
    from pnc.errors import InvalidInputError
    from pnc.spec import ProblemSpec
    from pnc.theory.symbolic import symbolic_prediction

    problem = ProblemSpec(classes=source.classes or 3, samples_per_class=source.samples_per_class)
    if len(set(problem.counts)) > 1:
        raise InvalidInputError(
            got=f"class sizes {problem.counts} with `symbolic`",
            expected="equal classes, which have a closed form",
            next_step="leave out `symbolic`: the numbers hold for any class sizes",
        )
    say(
        symbolic_prediction(
            problem.classes,
            problem.counts[0],
            network.depth,
            network.residual_scale,
            network.label_scale,
            substitute=substitute,
            latex=latex,
        )
    )
