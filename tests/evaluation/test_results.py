"""Results: what they compute, how they are shown, and that files bring them back whole."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifelong.evaluation import metrics, results
from lifelong.evaluation.estimate import Array
from lifelong.evaluation.intervals import interval, ragged
from lifelong.evaluation.results import Results
from lifelong.evaluation.setting import Setting
from tests.toys import fit, make_learner, toy_data

NAMES = ("Latin", "Greek", "Tagalog")
SETTING = Setting(NAMES, NAMES, score="accuracy", percent=True, learner="MAML", strategies=("Replay",), plan="loop")


def scores_of(n_rows: int, sizes: tuple[int, ...] = (4, 4, 4)) -> list[Array]:
    rng = np.random.default_rng(0)
    return [ragged([rng.random(n).astype(np.float32).astype(float) for n in sizes]) for _ in range(n_rows)]


def results_of(n_rows: int = 3, sizes: tuple[int, ...] = (4, 4, 4), **setting: Any) -> Results:
    rows = scores_of(n_rows + 1, sizes)
    measured = {"score": rows[1:], "AdapterBank/routing_accuracy": rows[1:]}
    return Results(replace(SETTING, **setting), measured, rows[0])


def same_numbers(a: Results, b: Results) -> None:
    np.testing.assert_array_equal(a.matrix, b.matrix)
    np.testing.assert_array_equal(a.half_widths, b.half_widths)
    assert str(a.metrics) == str(b.metrics)  # NaN equals NaN as text
    assert str(a.averages) == str(b.averages)
    assert str(a.last_measures) == str(b.last_measures)
    assert str(a) == str(b)


def test_matrix_and_half_widths_are_intervals_of_the_scores() -> None:
    found = results_of()
    mean, half_width = interval(found.scores())
    np.testing.assert_array_equal(found.matrix, mean)
    np.testing.assert_array_equal(found.half_widths, half_width)
    assert found.matrix.shape == found.half_widths.shape == (3, 3)
    assert found.domains == found.experiences == NAMES
    assert results_of(2).experiences == NAMES[:2]


def test_metrics_that_are_not_available_have_a_reason() -> None:
    found = results_of(1).metrics
    assert found["average_score"].reason == ""
    assert np.isnan(found["forgetting"].value)
    assert found["forgetting"].reason == "needs two experiences or more"
    disjoint = results_of(disjoint=True).metrics["forward_transfer"]
    assert disjoint.reason == "the classes of the experiences are disjoint"


def test_the_last_average_is_the_average_score() -> None:
    found = results_of()
    assert found.averages[-1].value == pytest.approx(found.metrics["average_score"].value)
    assert found.averages[-1].half_width == pytest.approx(found.metrics["average_score"].half_width)
    unseen = results_of(2, n_unseen=1)
    assert unseen.averages[-1].half_width == pytest.approx(unseen.metrics["average_score"].half_width)
    assert "unseen_score" in unseen.metrics


def test_a_checkpoint_has_one_row_without_history() -> None:
    found = results_of(1, checkpoint=True, experiences=("checkpoint",), evaluation="4 test tasks a domain")
    assert list(found.metrics) == ["average_score"]
    assert found.metrics["average_score"].value == pytest.approx(found.matrix.mean())
    assert "accuracy on 4 test tasks a domain" in str(found)
    assert "forgetting" not in str(found)


def test_text_has_both_tables_and_what_strategies_report() -> None:
    text = str(results_of())
    assert "accuracy on val tasks" in text
    assert all(f"{i + 1} {name}" in text for i, name in enumerate(NAMES))
    assert "average accuracy ↑" in text
    assert "AdapterBank/routing_accuracy: 0." in text
    assert text == "\n".join(line.rstrip() for line in text.splitlines())


def test_a_transductive_score_is_named_so() -> None:
    assert "accuracy, transductive on val tasks" in " ".join(str(results_of(transductive=True)).split())


def test_notebooks_show_html_with_escaped_names() -> None:
    html = results_of(domains=("<b>", "Greek", "Tagalog"))._repr_html_()
    assert html.count("<table>") == 2
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert f"{100 * results_of().matrix[0, 0]:.1f} ± " in html


def test_pictures_are_of_the_matrix() -> None:
    figure = results_of().plot()
    assert [len(part.axes) for part in figure.subfigs] == [2, 1]
    assert figure.get_suptitle() == "MAML, Replay"
    assert results_of().plot_matrix().axes[0].images
    assert results_of().plot_curves().axes[0].lines


def test_the_line_is_of_the_last_row() -> None:
    line = results_of(2).line()
    assert line.startswith("experience 2/3 'Greek' learnt │ Latin ")
    assert "Tagalog" not in line
    assert "│ average" in line


def test_scores_that_are_not_at_hand_are_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"no scores of the measure 'speed': known are score, .*scores\.npz"):
        results_of().scores("speed")


@pytest.mark.parametrize("sizes", [(4, 4, 4), (2, 5, 3)])
@pytest.mark.parametrize("n_rows", [1, 3])
def test_files_bring_results_back(tmp_path: Path, sizes: tuple[int, ...], n_rows: int) -> None:
    saved = results_of(n_rows, sizes, config={"seed": 1})
    saved.save(tmp_path)
    loaded = Results.load(tmp_path)
    same_numbers(loaded, saved)
    assert loaded.setting == saved.setting
    np.testing.assert_array_equal(loaded.scores(), saved.scores())
    assert loaded.untrained is not None
    assert saved.untrained is not None
    np.testing.assert_array_equal(loaded.untrained, saved.untrained)


def test_metrics_are_computed_again_from_the_loaded_scores(tmp_path: Path) -> None:
    results_of().save(tmp_path)
    loaded = Results.load(tmp_path)
    again = metrics.summary(loaded.scores(), loaded.untrained)
    assert {name: e.value for name, e in again.items() if e} == {n: e.value for n, e in loaded.metrics.items()}


def test_without_scores_of_units_all_else_is_there(tmp_path: Path) -> None:
    saved = results_of(2)
    saved.save(tmp_path)
    (tmp_path / "scores.npz").unlink()
    loaded = Results.load(tmp_path)
    same_numbers(loaded, saved)
    assert loaded.experiences == NAMES[:2]
    assert "<table>" in loaded._repr_html_()
    loaded.plot()
    with pytest.raises(ValueError, match="known are none"):
        loaded.scores()


def test_cells_that_were_not_evaluated_come_back_as_such(tmp_path: Path) -> None:
    rows = scores_of(2)
    rows[0][2] = np.nan
    rows[1][0, 1] = -np.inf  # of a learner that diverged
    saved = Results(SETTING, {"score": rows})
    saved.save(tmp_path)
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["matrix"][0][2] is None
    loaded = Results.load(tmp_path)
    np.testing.assert_array_equal(loaded.matrix, saved.matrix)
    np.testing.assert_array_equal(loaded.scores(), saved.scores())
    assert loaded.untrained is None


def test_single_precision_is_kept_where_it_loses_nothing(tmp_path: Path) -> None:
    results_of().save(tmp_path)
    with np.load(tmp_path / "scores.npz") as arrays:
        assert arrays["score/scores"].dtype == np.float32
    double = [np.full((3, 4), 1 / 3)]
    Results(SETTING, {"score": double}).save(tmp_path)
    np.testing.assert_array_equal(Results.load(tmp_path).scores()[0], double[0])


def test_a_missing_or_foreign_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no .*results\.json"):
        Results.load(tmp_path)
    (tmp_path / "results.json").write_text('{"matrix": [[1.0]]}')
    with pytest.raises(ValueError, match="no entry 'domains': they were written by another version"):
        Results.load(tmp_path)


def test_results_of_a_run_say_how_tasks_were_run() -> None:
    found = fit(make_learner(), toy_data(1)).results
    assert found.plan == "all at once"
    assert found.to_dict()["plan"] == "all at once"
    assert found.setting.parameters > 0
    assert found.setting.evaluation.startswith("8 val tasks a domain")


def test_reading_results_needs_neither_torch_nor_lightning(tmp_path: Path) -> None:
    results_of().save(tmp_path)
    code = (
        "import sys; from lifelong.evaluation.results import Results; "
        f"print(Results.load({str(tmp_path)!r})); sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL).returncode == 0


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(results)
    assert result.attempted >= 3
    assert result.failed == 0
