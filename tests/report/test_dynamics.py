"""Curves along training, drawn and animated: what is shown is what was recorded and predicted."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pnc.compare import compare
from pnc.data import draw
from pnc.records import RunRecord
from pnc.report import dynamics_animation, dynamics_figure, shown_times, write_run
from pnc.simulate import History, simulate
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec
from pnc.theory import predict, predict_dynamics

PROBLEM, NETWORK = draw(ProblemSpec(samples_per_class=4)), NetworkSpec(depth=3, width=300)


@pytest.fixture(scope="module")
def curves():
    history = simulate(PROBLEM, NETWORK, SimulationSpec(device="cpu", record=40)).history
    return history, predict_dynamics(PROBLEM, NETWORK, shown_times(history, points=50))


def test_the_figure_shows_both_curves_until_everything_is_learned(curves):
    history, predicted = curves
    left, middle, right = dynamics_figure(history, predicted).axes
    first_learned = history.time[np.argmax(history.loss < 1e-6)]
    for panel, name in ((left, "compression"), (middle, "discrimination")):
        dots = [line for line in panel.lines if line.get_marker() == "o"]
        lines = [line for line in panel.lines if line.get_linestyle() == "-"]
        assert len(dots) == len(lines) == NETWORK.depth
        for l, (dot, line) in enumerate(zip(dots, lines, strict=True)):
            shown = len(dot.get_xdata())
            np.testing.assert_array_equal(dot.get_ydata(), getattr(history, name)[:shown, l])
            np.testing.assert_array_equal(line.get_ydata(), getattr(predicted, name)[:, l])
            assert first_learned <= dot.get_xdata()[-1] <= 1.3 * first_learned
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["Y1, unaligned", "simulated"]


def test_a_history_that_ends_on_the_plateau_is_shown_to_its_end():
    history = History(
        time=np.array([0.0, 1, 3]), loss=np.ones(3), compression=np.ones((3, 2)), discrimination=np.ones((3, 2))
    )
    np.testing.assert_array_equal(shown_times(history, points=4), [0, 1, 2, 3])
    assert dynamics_figure(history).axes[0].lines[0].get_xdata().tolist() == [0, 1, 3]


def test_the_animation_moves(curves, tmp_path):
    history, predicted = curves
    dynamics_animation(tmp_path / "a.gif", history, predicted, frames=4)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 4
        frames = []
        for place in range(4):
            image.seek(place)
            frames.append(np.asarray(image.convert("RGB"), dtype=int))
    # below the title, which tells the time; the last two are both after the end of learning
    for one, other in ((frames[0], frames[1]), (frames[1], frames[2]), (frames[0], frames[3])):
        assert np.abs(one[60:] - other[60:]).max() > 100


def test_a_run_folder_has_them_where_a_history_was_recorded(tmp_path):
    run = simulate(PROBLEM, NETWORK, SimulationSpec(device="cpu", record=5))
    comparison = compare(predict(PROBLEM, NETWORK), run.measured)
    write_run(tmp_path / "with", comparison, record=RunRecord(command="simulate", network=NETWORK), history=run.history)
    write_run(tmp_path / "without", comparison, record=RunRecord(command="simulate", network=NETWORK))
    more = {file.name for file in (tmp_path / "with").iterdir()} - {f.name for f in (tmp_path / "without").iterdir()}
    assert more == {"training.gif", "training.png", "training.svg"}
