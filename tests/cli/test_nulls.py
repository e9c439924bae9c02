"""Arguments of nested classes can be set to null."""

from __future__ import annotations

import pytest

from lifelong.cli.nulls import with_nulls
from lifelong.cli.parser import parse
from lifelong.utilities import plugins

plugins.load()


@pytest.mark.parametrize("option", [["--data.sources.seed", "null"], ["--data.sources.seed=null"]])
def test_null_reaches_a_source(option: list[str]) -> None:
    config = parse("fit", ["--config", "permuted_mnist", *option, "--data.sources.n_domains=3"]).kept_config()
    (source,) = config["data"]["init_args"]["sources"]
    assert source["init_args"]["seed"] is None
    assert source["init_args"]["n_domains"] == 3


def test_null_reaches_a_network_and_the_training() -> None:
    options = ["--model.network.n_outputs=null", "--lr_scheduler=null"]
    config = parse("fit", ["--config", "omniglot_protonet_5shot", *options]).kept_config()
    assert config["model"]["init_args"]["network"]["init_args"]["n_outputs"] is None
    assert config["lr_scheduler"] is None


def test_an_option_without_a_class_in_the_configs_stays() -> None:
    assert with_nulls([{"model": "ProtoNet"}], ["--model.network.head", "null", "--flag"]) == (
        [{"model": "ProtoNet"}],
        ["--model.network.head", "null", "--flag"],
    )
