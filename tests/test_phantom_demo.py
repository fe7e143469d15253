"""The recipe of the bundled demonstration model, run small from phantoms to a checkpoint that is read with."""

from pathlib import Path

import numpy as np
import pytest

from mammo_core.cases import GROUPS
from mammo_core.checkpoint import load_checkpoint
from mammo_core.inputs import InputSettings
from mammo_core.model_files import PHANTOM_MODEL, find_model
from mammo_core.phantom import VENDORS, PhantomSettings
from mammo_core.reader import Reader
from mammo_core.tradeoff import Tradeoff
from mammo_train.fit import fit
from mammo_train.phantom_set import write_set
from mammo_train.prepared_set import open_prepared
from mammo_train.recipe import load_recipe
from mammo_train.run import read_log
from mammo_train.split import make_split

SHORT = (
    "phases.*.epochs=1",
    "phases.*.batch_size=8",
    "phases.0.crop=32",
    "precision=float32",
    "split.validation=0.5",
    "split.test=0.0",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    inputs = InputSettings(height=128, width=96)
    write_set(
        PhantomSettings(height=256, prevalence=0.8), folder / "set", studies=12, seed=3, form="prepared", inputs=inputs
    )
    data = open_prepared(folder / "set")
    recipe = load_recipe(PHANTOM_MODEL, SHORT)
    fit(recipe, data, make_split(data.table, recipe.split), folder / "run")
    return folder / "run"


def test_it_learns_from_crops_then_from_views(run: Path) -> None:
    epochs = [event for event in read_log(run) if event["event"] == "epoch"]
    assert [event["phase"] for event in epochs] == ["crops", "views"]
    assert [event["best"] for event in epochs] == [False, True], "crops alone are no model of whole views"
    assert all("lesion cells" in event["learning_rates"] for event in epochs)


def test_the_checkpoint_says_what_it_is_and_what_its_cases_are(run: Path) -> None:
    header = load_checkpoint(run / "checkpoint.safetensors").header
    assert (header.name, header.training_domain) == (PHANTOM_MODEL, "phantom")
    assert header.card.limits[0] == "Knows phantoms only: its score says nothing about a real breast."
    assert header.validation is not None
    assert set(header.validation.groups) <= set(GROUPS)
    assert {"laterality", "views", "density", "age", "manufacturer"} <= set(header.validation.groups)
    assert set(header.validation.groups["views"]) == {"CC+MLO"}
    assert set(header.validation.groups["manufacturer"]) <= {vendor.manufacturer for vendor in VENDORS}


def test_the_bundled_model_is_of_this_recipe_and_ready_for_its_threshold() -> None:
    checkpoint = load_checkpoint(find_model(PHANTOM_MODEL))
    header, recipe = checkpoint.header, load_recipe(PHANTOM_MODEL)
    assert find_model(PHANTOM_MODEL).stat().st_size <= 12e6
    assert header.architecture == recipe.architecture
    assert header.training is not None
    assert f'name = "{PHANTOM_MODEL}"' in header.training.recipe
    assert header.validation is not None
    cases = header.validation.cases("")
    found = Tradeoff(cases)
    assert found.roc_auc().low > 0.5
    assert header.operating_point is not None
    assert found.at(header.operating_point.threshold).specificity.value >= 0.9
    assert {"density", "manufacturer"} <= set(cases.groups)
    assert np.isfinite(cases.scores).all()
    assert Reader(checkpoint).thresholds is not None
