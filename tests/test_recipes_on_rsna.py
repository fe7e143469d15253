"""Every bundled recipe on real RSNA pictures, shortened and with a small network: it trains, and prints its report."""

import json
from pathlib import Path

import numpy as np
import pytest

from mammo_core.inputs import InputSettings
from mammo_core.model_files import PHANTOM_MODEL
from mammo_train.evaluate import evaluate
from mammo_train.evaluation import EvaluationSettings
from mammo_train.fit import fit
from mammo_train.prepare import prepare
from mammo_train.prepared_set import PreparedSet, open_prepared
from mammo_train.recipe import bundled_recipes, load_recipe
from mammo_train.run import read_log
from mammo_train.sources import open_source
from mammo_train.split import make_split
from mammo_train.units import by_breast

SHORT = (
    "backbone=test_resnet",
    "weights=none",
    "phases.*.epochs=1",
    "phases.*.feature_copies=1",
    "phases.*.batch_size=64",
)


@pytest.fixture(scope="module")
def rsna(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    folder = tmp_path_factory.mktemp("rsna")
    prepare(open_source("rsna", shared / "rsna256"), folder, InputSettings(height=64, width=64))
    return open_prepared(folder)


@pytest.mark.parametrize("name", sorted(set(bundled_recipes()) - {PHANTOM_MODEL}))
def test_a_bundled_recipe_runs_and_reports(rsna: PreparedSet, tmp_path: Path, name: str) -> None:
    recipe = load_recipe(name, SHORT)
    split = make_split(rsna.table, recipe.split)
    run = tmp_path / "run"
    checkpoint = fit(recipe, rsna, split, run)
    evaluate(
        checkpoint,
        rsna,
        run,
        split=split,
        part="test",
        prevalence=0.021,
        settings=EvaluationSettings(draws=40, heatmap_images=8, gallery=1),
    )
    events = read_log(run)
    assert [event["phase"] for event in events if event["event"] == "epoch"] == [phase.name for phase in recipe.phases]
    rows = split.rows(rsna.table, "test")
    breasts = by_breast(rsna.table, rows, np.zeros(len(rows)))
    report = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    assert f'"n": {len(breasts.labels)}' in json.dumps(report)
    assert "Research use only" in (run / "evaluation.html").read_text(encoding="utf-8")
