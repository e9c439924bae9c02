import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from lifelong.compute.runner import TaskRunner
from strategies.adapters.class_gaussians import SHRINKAGE, ClassGaussians, class_statistics
from strategies.adapters.embedded import classes_of
from tests.toys import make_classifier, toy_examples

RNG = torch.Generator().manual_seed(0)


def draw(*centres: float) -> list[Tensor]:
    """Twenty examples of three features for each of some classes."""
    stretch = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.3, 0.0], [0.0, 0.2, 2.0]], dtype=torch.float64)
    noise = torch.randn(len(centres), 20, 3, generator=RNG, dtype=torch.float64) @ stretch
    return [centre + rows for centre, rows in zip(centres, noise, strict=True)]


def of(experiences: list[list[Tensor]]) -> ClassGaussians:
    gaussians = ClassGaussians()
    for experience in experiences:
        rows = torch.cat(experience)
        counts = torch.tensor([len(x) for x in experience])
        gaussians.add(torch.stack([x.sum(0) for x in experience]), counts, rows.T @ rows)
    return gaussians


def test_distances_are_log_likelihoods_of_mixtures() -> None:
    experiences = [draw(0.0, 3.0), draw(-2.0), draw(1.0, 5.0, -4.0)]
    around = torch.cat([x - x.mean(0) for experience in experiences for x in experience])
    covariance = around.T @ around / len(around)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * covariance.trace() / 3 * torch.eye(3, dtype=torch.float64)
    x = torch.cat(draw(0.5, -3.0))
    likelihoods = []
    for experience in experiences:
        of_classes = [MultivariateNormal(c.mean(0), covariance).log_prob(x).exp() for c in experience]
        likelihoods.append(sum(of_classes) / len(of_classes))
    posterior = torch.stack(likelihoods) / sum(likelihoods)
    found = (-of(experiences).distances(x)).softmax(0)
    torch.testing.assert_close(found, posterior, rtol=1e-4, atol=1e-6)  # means are kept in single precision


def test_a_single_example_of_each_class_is_compared_by_distance() -> None:
    gaussians = of([[torch.zeros(1, 2, dtype=torch.float64)], [torch.full((1, 2), 4.0, dtype=torch.float64)]])
    distances = gaussians.distances(torch.tensor([[1.0, 1.0], [3.5, 3.5]]))
    assert distances.isfinite().all()
    assert distances.argmin(0).tolist() == [0, 1]


def test_statistics_do_not_depend_on_the_batch_size() -> None:
    learner, found = make_classifier(), []
    for batch_size in (1, 7, 64):
        data = toy_examples("class", 2, batch_size=batch_size)
        visit = data.visit(1, torch.device("cpu"))
        found.append(
            class_statistics(learner, learner.meta_parameters(), visit, classes_of(visit.experience), TaskRunner())
        )
    pool = data.stream.experiences[1].pools[0]
    assert found[0][1].tolist() == [len(rows) for rows in pool.members]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])


def test_a_checkpoint_keeps_the_distances() -> None:
    gaussians, again, x = of([draw(0.0, 3.0), draw(9.0)]), ClassGaussians(), draw(1.0)[0].float()
    again.load(gaussians.state())
    assert torch.equal(again.distances(x), gaussians.distances(x))


def test_the_linear_rule_is_the_posterior_of_the_classes() -> None:
    gaussians, x = of([draw(0.0, 3.0), draw(-2.0)]), torch.cat(draw(0.5, -3.0))
    weights, biases = (torch.cat(column) for column in zip(*gaussians.linear_rule(), strict=True))
    covariance = gaussians.scatter / gaussians.count
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * covariance.trace() / 3 * torch.eye(3, dtype=torch.float64)
    means = torch.cat(gaussians.means).double()
    likelihoods = torch.stack([MultivariateNormal(mean, covariance).log_prob(x) for mean in means], 1)
    torch.testing.assert_close((x @ weights.T + biases).softmax(1), likelihoods.softmax(1))
