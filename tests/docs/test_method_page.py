from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from docs.generate import evidence
from docs.generate.catalogue import Method, methods
from docs.generate.method_page import method_page
from docs.generate.records import of_method, read_records
from docs.generate.reference import documented_paths

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    records, documented = read_records(ROOT), documented_paths()
    return {
        m.name: method_page(m, of_method(records, m.name, is_learner=m.role == "learner"), documented)
        for m in methods()
    }


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_page_has_every_section(method: Method, pages: dict[str, str]) -> None:
    sections = [line for line in pages[method.name].splitlines() if line.startswith("## ")]
    expected = [
        "## Run it",
        "## Paper",
        "## Differences from the paper",
        "## Results",
        "## Options",
        "## Errors",
        "## Example",
    ]
    left_out = {
        *(() if method.docstring.reference else ("## Paper", "## Differences from the paper")),
        *(() if method.docstring.raises else ("## Errors",)),
    }
    assert sections == [title for title in expected if title not in left_out]


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_every_option_is_described(method: Method, pages: dict[str, str]) -> None:
    options = pages[method.name].split("## Options\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.removesuffix(" |").rpartition(" | ")[2] for line in options.splitlines() if line.startswith("| `")]
    assert all(rows)
    assert rows or "It takes no options." in options


def test_results_have_what_was_reported_and_the_cost(pages: dict[str, str]) -> None:
    results = results_of(pages["Replay"])
    [row] = [line for line in results.splitlines() if line.startswith("| split mnist, class |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:3] == ["ER", "Classifier"]
    assert cells[3].startswith("89.2 ± ")
    assert cells[4] == "88.79"
    assert cells[6:8] == ["5", "792 kB"]
    assert results.index("| split mnist, class |") < results.index("| clinc150 |")


def test_command_of_a_row_is_that_of_its_runs(pages: dict[str, str]) -> None:
    block = pages["ICaRL"].split("with its first seed", 1)[1].split("```sh\n", 1)[1].split("```", 1)[0]
    words = shlex.split(block.replace("\\\n", " "))
    assert words[:6] == ["python", "-m", "lifelong", "fit", "--config", "configs/split_mnist.yaml"]
    assert words[-2:] == ["--seed", "0"]
    assert "--strategies+=ICaRL" in words


def results_of(page: str) -> str:
    return page.split("## Results\n", 1)[1].split("\n## ", 1)[0]


def test_method_without_a_record_says_what_is_tested(pages: dict[str, str]) -> None:
    assert results_of(pages["PackNet"]).strip() == (
        "No run is recorded: the command above runs it. [Its test](../../tests/strategies/test_packnet.py) checks that "
        "nothing is forgotten, to the last bit."
    )


def test_methods_said_to_be_without_a_record_have_none(pages: dict[str, str]) -> None:
    silent = {name for name, page in pages.items() if "No run is recorded" in results_of(page)}
    assert silent == set(evidence.TESTED)
    assert all((ROOT / f"tests/strategies/test_{file}.py").is_file() for file, _ in evidence.TESTED.values())


def test_values_of_papers_stand_beside_ours_with_a_verdict(pages: dict[str, str]) -> None:
    assert "| ER, class | 88.79 | 89.19 ± 0.53 | yes |  |" in results_of(pages["Replay"])
    maml = results_of(pages["MAML"])
    assert [f"| {row} |" in maml for row in ("MAML, 20w5s", "MAML, first order, 5w1s", "MAML++, 5w1s")] == [True] * 3
    assert "beside published" not in results_of(pages["PackNet"])


def test_learner_shows_its_recorded_row_of_the_small_budget(pages: dict[str, str]) -> None:
    rows = [line for line in results_of(pages["BOIL"]).splitlines() if line.startswith("| omniglot 5w1s | BOIL |")]
    assert [row.split(" | ")[2] for row in rows] == ["93.1 ± 0.4"]
