import doctest

import numpy as np
import pytest

from lifelong.evaluation import metrics
from lifelong.evaluation.estimate import Array, Estimate
from lifelong.evaluation.intervals import interval, ragged, t_quantile
from lifelong.evaluation.metrics import reasons, row_averages, summary

# Three experiences, three domains, one number per cell:
#
#             Latin  Greek  Tagalog
#   untrained  0.20   0.30   0.10
#   row 0      0.80   0.40   0.30
#   row 1      0.60   0.70   0.20
#   row 2      0.50   0.75   0.90
#
# average score     (0.50 + 0.75 + 0.90) / 3 = 2.15 / 3
# learning score    (0.80 + 0.70 + 0.90) / 3 = 0.80
# forgetting        Latin: max(0.80, 0.60) - 0.50 = 0.30; Greek: max(0.40, 0.70) - 0.75 = -0.05; mean 0.125
# backward transfer (0.50 - 0.80 + 0.75 - 0.70) / 2 = -0.125
# forward transfer  Greek: 0.40 - 0.30 = 0.10; Tagalog: 0.20 - 0.10 = 0.10; mean 0.10
R = np.array([[0.80, 0.40, 0.30], [0.60, 0.70, 0.20], [0.50, 0.75, 0.90]])
B = np.array([0.20, 0.30, 0.10])
EXPECTED = {
    "average_score": 2.15 / 3,
    "learning_score": 0.80,
    "forgetting": 0.125,
    "backward_transfer": -0.125,
    "forward_transfer": 0.10,
}


T_1, T_MIXED = (float(t_quantile(nu)) for nu in (1, 0.025**2 / (0.005**2 + 0.02**2)))


def constant(matrix: Array, n_tasks: int = 5) -> Array:
    return np.repeat(matrix[..., None], n_tasks, axis=-1)


def noisy(n_rows: int, n_domains: int, n_tasks: int = 50, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.random((n_rows, n_domains, n_tasks)), rng.random((n_domains, n_tasks))


def value_of(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.value


def width_of(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.half_width


def test_hand_computed_stream() -> None:
    result = summary(constant(R), constant(B))
    assert {name: value_of(e) for name, e in result.items()} == pytest.approx(EXPECTED)
    assert {name: width_of(e) for name, e in result.items()} == pytest.approx(dict.fromkeys(EXPECTED, 0.0), abs=1e-12)
    assert reasons(constant(R), constant(B)) == {}


def test_hand_computed_half_widths() -> None:
    # Two domains, two tasks. v_j per metric, var with ddof=1, half width t * sqrt(sum_j var(v_j) / 2), where t has
    # (sum_j var_j)² / sum_j var_j² degrees of freedom: 1.47 for 0.005 and 0.02, 1 for a single variance.
    scores = np.array([[[0.8, 0.6], [0.2, 0.4]], [[0.4, 0.6], [0.9, 0.5]]])
    untrained = np.array([[0.0, 0.0], [0.1, 0.1]])
    result = summary(scores, untrained)
    # average: v_0 = (0.2, 0.3), v_1 = (0.45, 0.25); variances 0.005 and 0.02
    assert width_of(result["average_score"]) == pytest.approx(T_MIXED * np.sqrt(0.025 / 2))
    # learning: v_0 = (0.4, 0.3), v_1 = (0.45, 0.25); the same variances
    assert width_of(result["learning_score"]) == pytest.approx(T_MIXED * np.sqrt(0.025 / 2))
    # forgetting and backward transfer: v_0 = ±(0.4, 0.0); variance 0.08
    assert width_of(result["forgetting"]) == pytest.approx(T_1 * np.sqrt(0.08 / 2))
    assert width_of(result["backward_transfer"]) == pytest.approx(T_1 * np.sqrt(0.08 / 2))
    # forward transfer: v_1 = (0.1, 0.3); variance 0.02
    assert width_of(result["forward_transfer"]) == pytest.approx(T_1 * np.sqrt(0.02 / 2))


def test_forgetting_takes_the_maximum_over_all_earlier_rows() -> None:
    # Greek was at its best in row 0, before it was learnt: that row counts, as in the paper.
    matrix = np.array([[0.5, 0.9, 0.1], [0.5, 0.6, 0.1], [0.5, 0.5, 0.1]])
    assert value_of(metrics.forgetting(constant(matrix))) == pytest.approx((0.0 + 0.4) / 2)
    assert value_of(metrics.backward_transfer(constant(matrix))) == pytest.approx((0.0 - 0.1) / 2)


def test_single_experience_has_only_scores() -> None:
    scores, untrained = noisy(1, 1)
    result = summary(scores, untrained)
    assert value_of(result["average_score"]) == value_of(result["learning_score"]) == pytest.approx(scores.mean())
    assert [name for name, e in result.items() if e is None] == ["forgetting", "backward_transfer", "forward_transfer"]
    assert set(reasons(scores, untrained).values()) == {"needs two experiences or more"}


def test_joint_run_has_only_the_average_over_all_domains() -> None:
    scores, untrained = noisy(1, 4)
    result = summary(scores, untrained, joint=True)
    assert value_of(result["average_score"]) == pytest.approx(scores.mean())
    assert [name for name, e in result.items() if e is None] == list(EXPECTED)[1:]
    assert reasons(scores, untrained, joint=True) == dict.fromkeys(list(EXPECTED)[1:], "all domains are learnt at once")
    assert metrics.learning_score(scores) is None


def test_joint_run_with_one_domain_does_not_pass_for_a_stream() -> None:
    scores, untrained = noisy(1, 1)
    assert summary(scores, untrained, joint=True)["learning_score"] is None


@pytest.mark.parametrize("n_learnt", [1, 2, 3])
def test_an_unfinished_stream_is_that_of_the_domains_so_far(n_learnt: int) -> None:
    scores, untrained = noisy(4, 4)
    scores[:, n_learnt:][:n_learnt] = np.nan  # of no interest yet, whether evaluated or not
    expected = summary(scores[:n_learnt, :n_learnt], untrained[:n_learnt])
    assert summary(scores[:n_learnt], untrained) == expected
    assert value_of(expected["average_score"]) == pytest.approx(scores[n_learnt - 1, :n_learnt].mean())


def test_unfinished_stream_by_hand() -> None:
    # The first two rows and domains of R: forgetting 0.80 - 0.60, forward transfer 0.40 - 0.30.
    result = summary(constant(R[:2]), constant(B))
    found = {name: value_of(e) for name, e in result.items()}
    assert found == pytest.approx(
        {
            "average_score": 0.65,
            "learning_score": 0.75,
            "forgetting": 0.20,
            "backward_transfer": -0.20,
            "forward_transfer": 0.10,
        }
    )


def test_forward_transfer_needs_the_untrained_learner() -> None:
    scores, _ = noisy(3, 3)
    assert summary(scores, None)["forward_transfer"] is None
    assert reasons(scores, None) == {"forward_transfer": "no score of the untrained learner"}


def test_disjoint_classes_leave_no_forward_transfer() -> None:
    scores, untrained = noisy(3, 3)
    expected = summary(scores, untrained) | {"forward_transfer": None}
    for given in (untrained, None):
        assert summary(scores, given, disjoint=True) == expected
        why = {"forward_transfer": "the classes of the experiences are disjoint"}
        assert reasons(scores, given, disjoint=True) == why
    assert summary(scores[:1], untrained, joint=True, disjoint=True) == summary(scores[:1], untrained, joint=True)


def test_domains_that_are_evaluated_only_once_learnt() -> None:
    scores, untrained = constant(R), constant(B)
    scores[np.triu_indices(3, k=1)] = np.nan
    result = summary(scores, untrained)
    assert result["forward_transfer"] is None
    assert reasons(scores, untrained) == {"forward_transfer": "needs scores that were not evaluated"}
    for name in ("average_score", "learning_score", "forgetting", "backward_transfer"):
        assert value_of(result[name]) == pytest.approx(EXPECTED[name])


def test_diverged_tasks_are_not_left_out() -> None:
    scores, untrained = constant(R), constant(B)
    scores[0, 0, 2] = np.nan
    result = summary(scores, untrained)
    assert np.isnan(value_of(result["forgetting"]))
    assert np.isnan(value_of(result["learning_score"]))
    assert value_of(result["average_score"]) == pytest.approx(EXPECTED["average_score"])


def test_infinite_scores_warn_of_nothing_and_show() -> None:
    scores = constant(R)
    scores[2, 0] = -np.inf
    assert value_of(summary(scores)["average_score"]) == -np.inf
    assert value_of(summary(scores)["forgetting"]) == np.inf


def test_single_task_has_no_interval() -> None:
    result = summary(constant(R, n_tasks=1), constant(B, n_tasks=1))
    assert {name: value_of(e) for name, e in result.items()} == pytest.approx(EXPECTED)
    assert all(np.isnan(width_of(e)) for e in result.values())


@pytest.mark.parametrize(
    ("shape", "joint", "message"),
    [
        ((3, 2, 5), False, "found 3 rows of scores for 2 domains"),
        ((2, 2, 5), True, "a joint run has one row of scores, found 2"),
        ((2, 2), False, r"found shape \(2, 2\)"),
        ((2, 2, 0), False, r"found shape \(2, 2, 0\)"),
    ],
)
def test_shapes_that_do_not_fit(shape: tuple[int, ...], joint: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        summary(np.zeros(shape), joint=joint)


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(metrics)
    assert result.attempted > 10
    assert result.failed == 0


def test_domains_with_fewer_units_count_only_their_own() -> None:
    first, second = np.array([[0.5, 0.7], [0.1, 0.3]]), np.array([[0.0, 0.0, 0.3], [0.9, 0.6, 0.9]])
    scores = np.moveaxis(ragged([first, second]), 0, 1)
    means, half_widths = interval(scores)
    for domain, alone in enumerate((first, second)):
        expected = interval(alone)
        np.testing.assert_allclose(means[:, domain], expected[0])
        np.testing.assert_allclose(half_widths[:, domain], expected[1])
    found = metrics.summary(scores)
    assert found["average_score"].value == pytest.approx((0.2 + 0.8) / 2)
    # Welch and Satterthwaite, with 1 and 2 degrees of freedom
    variances = np.array([first[1].var(ddof=1) / 2, second[1].var(ddof=1) / 3])
    nu = variances.sum() ** 2 / (variances[0] ** 2 / 1 + variances[1] ** 2 / 2)
    assert found["average_score"].half_width == pytest.approx(t_quantile(nu) * np.sqrt(variances.sum()) / 2)
    assert found["forgetting"].value == pytest.approx(0.6 - 0.2)


def test_row_averages_are_the_average_scores_so_far() -> None:
    scores, _ = noisy(4, 5)
    averages = row_averages(scores, n_unseen=1)
    for n_learnt in range(1, 5):
        assert averages[n_learnt - 1].value == pytest.approx(scores[n_learnt - 1, :n_learnt].mean())
        expected = summary(scores[:n_learnt], n_unseen=1)["average_score"]
        assert averages[n_learnt - 1].half_width == pytest.approx(width_of(expected))
    (joint,) = row_averages(scores[:1], joint=True, n_unseen=1)
    assert joint.value == pytest.approx(value_of(summary(scores[:1], joint=True, n_unseen=1)["average_score"]))


def test_a_row_without_all_that_was_learnt_has_no_average() -> None:
    scores, _ = noisy(2, 2)
    scores[1, 0] = np.nan
    assert [np.isnan(average.value) for average in row_averages(scores)] == [False, True]
