"""A checkpoint evaluated on a small set of phantoms: what is written, and that it is what the scores say."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from made import made_checkpoint
from mammo_core.calibration import Calibration, sigmoid
from mammo_core.checkpoint import TrainingRecord, ValidationScores, load_checkpoint, model_of
from mammo_core.errors import InputError
from mammo_core.inputs import InputSettings
from mammo_core.operating_point import at_specificity
from mammo_core.phantom import PhantomSettings
from mammo_train.evaluate import evaluate
from mammo_train.evaluation import EvaluationSettings
from mammo_train.phantom_set import write_set
from mammo_train.prepared_set import PreparedSet, open_prepared
from mammo_train.split import Split, write_split

QUICK = EvaluationSettings(draws=25, gallery=2)
INPUTS = InputSettings(height=128, width=96, mean=(0.5,), std=(0.25,))
CALIBRATION = Calibration(
    slope=0.5,
    intercept=-1.0,
    fitted_prevalence=0.25,
    stated_prevalence=0.02,
    unit="view",
    n=40,
    source="made by hand",
)


def validation() -> ValidationScores:
    rng = np.random.default_rng(0)
    labels = rng.random(60) < 0.3
    scores = 0.05 * rng.random(60) + 0.02 * labels
    return ValidationScores(
        unit="breast",
        patients=tuple(str(i // 2) for i in range(60)),
        labels=tuple(labels.tolist()),
        scores=tuple(scores.tolist()),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> PreparedSet:
    folder = tmp_path_factory.mktemp("set") / "phantoms"
    settings = PhantomSettings(height=192, prevalence=0.5)
    write_set(settings, folder, studies=12, seed=3, form="prepared", inputs=INPUTS, workers=1)
    return open_prepared(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "made.safetensors"
    made_checkpoint(path, calibration=CALIBRATION, validation=validation())
    return path


@pytest.fixture(scope="module")
def out(tmp_path_factory, data, model) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    evaluate(model, data, folder, prevalence=0.01, settings=QUICK)
    return folder


def read(out: Path) -> dict:
    return json.loads((out / "evaluation.json").read_text(encoding="utf-8"))


def table(out: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(out / "evaluation" / f"{name}.csv", dtype={"patient_id": str})


def test_an_images_score_is_the_models(out, data, model):
    scores = table(out, "scores_image").set_index("image_id")
    network = model_of(load_checkpoint(model))
    for row in (0, 17, 47):
        line = data.table.iloc[row]
        shown = cv2.imread(str(data.folder / line["file"]), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
        with torch.inference_mode():
            logit = network(torch.from_numpy((shown - 0.5) / 0.25)[None, None]).item()
        assert scores["logit"][line["image_id"]] == pytest.approx(logit, abs=1e-4)
        shift = np.log(0.02 / 0.98) - np.log(0.25 / 0.75)
        expected = sigmoid(np.array([0.5 * logit - 1.0 + shift]))[0]
        assert scores["score"][line["image_id"]] == pytest.approx(expected, rel=1e-3)


def test_breasts_and_patients_are_made_of_images(out):
    images, breasts, patients = (table(out, f"scores_{unit}") for unit in ("image", "breast", "patient"))
    grouped = images.groupby(images["patient_id"] + "/" + images["laterality"])["score"]
    assert breasts.set_index("key")["mean"].to_dict() == pytest.approx(grouped.mean().to_dict(), rel=1e-4)
    assert breasts.set_index("key")["max"].to_dict() == pytest.approx(grouped.max().to_dict(), rel=1e-4)
    larger = breasts.groupby("patient_id")["mean"].max()
    assert patients.set_index("key")["mean"].to_dict() == pytest.approx(larger.to_dict(), rel=1e-4)
    assert (len(images), len(breasts), len(patients)) == (48, 24, 12)


def test_every_figure_has_its_interval_unit_and_counts(out):
    found = read(out)
    assert found["schema"] == 1
    units = ["breast", "breast", "breast", "image", "patient", "patient"]
    assert [level["unit"] for level in found["levels"]] == units
    for level in found["levels"]:
        assert level["positives"] / level["n"] == pytest.approx(level["prevalence"])
        for figure in level["figures"]:
            assert figure["own"].keys() == {"value", "low", "high"}
            assert figure["stated"] is not None
    assert found["levels"][0]["n"] == 24
    assert found["subject"]["stated_prevalence"] == 0.01
    assert found["subject"]["part"] == "all"
    assert {group["by"] for group in found["subgroups"]} >= {"age", "density", "machine", "view"}


def test_operating_points_come_from_validation_and_are_not_moved(out):
    points = {point["name"]: point for point in read(out)["operating_points"]}
    assert list(points) == ["Youden", "90% sensitivity", "90% specificity", "10% recall rate"]
    stored = validation()
    wanted = at_specificity(stored.cases(""), wanted=0.9)
    found = points["90% specificity"]
    assert found["chosen"]["threshold"] == found["breast"]["threshold"] == found["patient"]["threshold"]
    assert found["chosen"]["threshold"] == pytest.approx(wanted.threshold)
    breasts = pd.read_csv(out / "evaluation" / "scores_breast.csv")
    flagged = breasts["mean"] >= wanted.threshold
    assert found["breast"]["true_positives"] == int((flagged & (breasts["cancer"] == 1)).sum())
    assert found["breast"]["false_positives"] == int((flagged & (breasts["cancer"] == 0)).sum())
    # At most a tenth is recalled at the stated prevalence, which re-weights the validation breasts.
    point = points["10% recall rate"]["chosen"]
    labels, scores = np.array(stored.labels), np.array(stored.scores)
    weights = np.where(labels, 0.01 / labels.mean(), 0.99 / (1 - labels.mean()))
    assert np.average(scores >= point["threshold"], weights=weights) <= 0.1


def test_heatmaps_are_measured_against_the_masks(out, data):
    found = read(out)
    facts = table(out, "heatmaps")
    assert len(facts) == 48
    masked = [data.mask(row) is not None and data.mask(row).any() for row in range(48)]
    cancer = data.table["cancer"].to_numpy(bool)
    counts = {entry["images"]: entry["n"] for entry in found["localisation"]}
    assert counts["malignant"] == int((np.array(masked) & cancer).sum())
    assert facts["pointed"].notna().tolist() == masked
    malignant = next(entry for entry in found["localisation"] if entry["images"] == "malignant")
    # The same network with shuffled weights draws other maps of the same images.
    assert malignant["shuffled_heat_in_lesion"]["value"] != malignant["heat_in_lesion"]["value"]
    assert {entry["measure"] for entry in found["heat_differences"]} >= {"peak", "spread"}
    peak = next(entry for entry in found["heat_differences"] if entry["measure"] == "peak")
    assert peak["malignant"]["value"] == pytest.approx(facts["peak"][cancer].mean(), rel=1e-4)
    difference = facts["peak"][cancer].mean() - facts["peak"][~cancer].mean()
    assert peak["difference"]["value"] == pytest.approx(difference, abs=1e-6)  # the CSV has six digits


def test_every_figure_is_in_a_table_too(out):
    found = read(out)
    figures, costs = table(out, "figures"), table(out, "thresholds")
    assert len(figures) == sum(len(level["figures"]) for level in found["levels"])
    level, figure = found["levels"][0], found["levels"][0]["figures"][0]
    line = figures.iloc[0]
    assert (line["unit"], line["how"], line["n"], line["figure"]) == ("breast", level["how"], level["n"], "roc_auc")
    for column, value in zip(("value", "value_low", "value_high"), figure["own"].values(), strict=True):
        assert line[column] == pytest.approx(value, rel=1e-5)
    point = found["operating_points"][1]
    lines = costs[(costs["point"] == point["name"]) & (costs["unit"] == "patient")]
    for column, kind in (("value", "own"), ("stated", "stated")):
        estimates = [one[kind] or {"value": None} for one in point["patient"]["figures"]]
        values = [np.nan if one["value"] is None else one["value"] for one in estimates]
        assert lines[column].tolist() == pytest.approx(values, rel=1e-5, nan_ok=True)
    shuffled = [one["shuffled_pointing"]["high"] for one in found["localisation"]]
    assert table(out, "localisation")["shuffled_pointing_high"].tolist() == pytest.approx(shuffled, rel=1e-5)
    above = [one["roc_auc_above"]["p"] for one in found["baselines"] if one["roc_auc_above"]]
    assert table(out, "baselines")["roc_auc_above_p"].dropna().tolist() == pytest.approx(above, rel=1e-5)
    assert len(table(out, "heat_differences")) == len(found["heat_differences"])


def test_baselines_are_fitted_on_other_patients(out):
    age, machine, views = read(out)["baselines"]
    assert (age["kind"], machine["kind"], views["kind"]) == ("age", "machine", "number of views")
    assert views["how"] == "views is the same for every breast"
    assert "cross-validation over patients" in age["how"]
    assert 0 <= age["roc_auc"]["value"] <= 1


def test_the_report_needs_nothing_but_itself(out):
    text = (out / "evaluation.html").read_text(encoding="utf-8")
    outside = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", outside)
    for title in ("At a glance", "Operating points", "Calibration", "Subgroups", "Heatmaps", "Gallery"):
        assert f"<h2>{title}</h2>" in text
    assert text.count('<figure class="case">') == 8
    assert "Learning curves" not in text  # there is no log beside the checkpoint
    assert str(Path.home()) not in outside


def test_the_same_again_is_the_same(tmp_path, out, data, model):
    evaluate(model, data, tmp_path, prevalence=0.01, settings=QUICK)
    assert (tmp_path / "evaluation.json").read_bytes() == (out / "evaluation.json").read_bytes()


def test_progress_is_told(tmp_path, data, model):
    told: list[tuple[str, int, int]] = []
    evaluate(model, data, tmp_path, settings=QUICK, tell=lambda *step: told.append(step))
    assert [step for step in told if step[1] == step[2]][-1] == ("evaluation", 1, 1)
    assert {"images scored", "heatmaps", "figures measured"} <= {step[0] for step in told}
    assert read(tmp_path)["subject"]["stated_prevalence"] == 0.02  # that of the calibration


def half(data: PreparedSet) -> Split:
    """A split with patients of both classes in every part."""
    patients = data.table.groupby("patient_id")["cancer"].max().sort_values(kind="stable").index
    return Split({p: ("test", "train", "train", "validation")[i % 4] for i, p in enumerate(patients)})


def test_only_the_part_is_scored_and_the_others_teach_the_baselines(tmp_path, data, model):
    split = half(data)
    found = evaluate(model, data, tmp_path, split=split, settings=QUICK)
    assert found["subject"]["part"] == "test"
    assert found["subject"]["split_sha256"] == split.sha256
    scored = set(table(tmp_path, "scores_image")["patient_id"])
    assert scored == {patient for patient, part in split.part_of.items() if part == "test"}
    assert found["baselines"][0]["how"] == "fitted on the 18 breasts of the other parts"
    with pytest.raises(InputError, match="part: 'test' needs a split"):
        evaluate(model, data, tmp_path, part="test", settings=QUICK)
    with pytest.raises(InputError, match="part: is 'tset', expected train, validation, test or all"):
        evaluate(model, data, tmp_path, part="tset", settings=QUICK)


def test_patients_that_a_model_learnt_from_are_left_out(tmp_path, data):
    split = half(data)
    record = TrainingRecord(recipe="", split_sha256=split.sha256, data_sha256=data.sha256, seconds=1.0, epochs=1)
    model = tmp_path / "run" / "checkpoint.safetensors"
    made_checkpoint(model, backbone="test_resnet", training=record)
    with pytest.raises(InputError, match=r"learnt from this very set.*give the split"):
        evaluate(model, data, tmp_path / "out", settings=QUICK)
    write_split(model.parent / "split.csv", split)
    found = evaluate(model, data, tmp_path / "out", settings=QUICK)
    assert found["subject"]["part"] == "test"
    everything = evaluate(model, data, tmp_path / "out", part="all", settings=QUICK)
    assert any("learnt from these images" in text for text in everything["warnings"])
    chosen_on = evaluate(model, data, tmp_path / "out", part="validation", settings=QUICK)
    assert any("chosen on these very images" in text for text in chosen_on["warnings"])
    other = Split(dict.fromkeys(split.part_of, "test"))
    shuffled = evaluate(model, data, tmp_path / "out", split=other, settings=QUICK)
    assert any("another split" in text for text in shuffled["warnings"])


def test_a_model_without_calibration_or_validation_says_so(tmp_path, data):
    made_checkpoint(tmp_path / "bare.safetensors", backbone="test_resnet", pooling="max")
    found = evaluate(tmp_path / "bare.safetensors", data, tmp_path / "out", settings=QUICK)
    assert found["operating_points"] == []
    assert found["subject"]["stated_prevalence"] is None
    assert any("not calibrated" in text for text in found["warnings"])
    assert any("no validation scores" in text for text in found["warnings"])
    figures = {figure["name"]: figure for figure in found["levels"][0]["figures"]}
    assert figures["pr_auc"]["stated"] is None
    text = (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    assert "holds neither an operating point nor validation scores" in text


def test_pictures_of_another_size_are_refused(tmp_path, data):
    made_checkpoint(tmp_path / "large.safetensors", inputs=INPUTS.model_copy(update={"height": 160}))
    with pytest.raises(InputError, match=r"was prepared with height 128, the model reads 160: .*--size 160x96"):
        evaluate(tmp_path / "large.safetensors", data, tmp_path / "out", settings=QUICK)


def changed(data: PreparedSet, table: pd.DataFrame) -> PreparedSet:
    return PreparedSet(data.folder, table, data.inputs, "0" * 64, data.bits, data.record)


def test_both_readings_of_bi_rads_3(tmp_path, data, model):
    cancer = data.table["cancer"].to_numpy(bool)
    birads = np.where(cancer, "4a", np.where(np.arange(48) % 3 == 0, "3", "2"))
    found = evaluate(model, changed(data, data.table.assign(birads=birads)), tmp_path, settings=QUICK)
    negative, positive = found["conventions"]
    assert negative["level"]["positives"] == found["levels"][0]["positives"]
    breasts = data.table.assign(three=cancer | (birads == "3")).groupby(["patient_id", "laterality"])["three"].any()
    assert positive["level"]["positives"] == int(breasts.sum())
    # Labels that are pathology, not BI-RADS: 3 is only a reading.
    pathology = data.table.assign(birads=np.where(cancer, "3", "2"))
    assert evaluate(model, changed(data, pathology), tmp_path, settings=QUICK)["conventions"] == []


def test_a_part_of_one_class_is_reported_without_the_figures_that_need_two(tmp_path, data, model):
    healthy = data.table[~data.table["cancer"]].reset_index(drop=True)
    found = evaluate(model, changed(data, healthy), tmp_path, settings=QUICK)
    assert any("One class is missing" in text for text in found["warnings"])
    figures = {figure["name"]: figure for figure in found["levels"][0]["figures"]}
    assert figures["roc_auc"]["own"]["value"] is None
    assert found["operating_points"][0]["breast"]["true_positives"] == 0
    assert (tmp_path / "evaluation.html").is_file()


def test_a_run_brings_its_learning_curves(tmp_path, data):
    made_checkpoint(tmp_path / "checkpoint.safetensors", backbone="test_resnet")
    events = [
        {"event": "start"},
        {"event": "epoch", "phase": "head", "phase_number": 1, "epoch": 1, "train_loss": 0.7, "validation_loss": 0.6,
         "roc_auc": 0.5, "pr_auc": 0.3, "best": True},
        {"event": "epoch", "phase": "all", "phase_number": 2, "epoch": 2, "train_loss": 0.6, "validation_loss": None,
         "roc_auc": None, "pr_auc": None, "best": False},
    ]  # fmt: skip
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    evaluate(tmp_path / "checkpoint.safetensors", data, tmp_path, settings=QUICK)
    text = (tmp_path / "evaluation.html").read_text(encoding="utf-8")
    assert "Learning curves" in text
    assert "validation loss" in text


def test_a_sample_of_heatmaps_holds_masks_and_both_classes(tmp_path, data, model):
    few = QUICK.model_copy(update={"heatmap_images": 20, "gallery": 1})
    found = evaluate(model, data, tmp_path, settings=few)
    assert "20 of 48 images" in found["heat_sample"]
    facts = table(tmp_path, "heatmaps")
    assert len(facts) == 20
    cancer = data.table.set_index("image_id")["cancer"]
    assert 0 < cancer[facts["image_id"]].sum() < 20
