"""An evaluation as one HTML report: figures, tables, pictures, and what they do not say.

Knows nothing of how anything was measured.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mammo_core.checkpoint import CheckpointHeader
from mammo_train.evaluation import BaselineResult, Evaluation, Point
from mammo_train.evaluation_figures import (
    Curves,
    calibration_figure,
    confusion_figure,
    histogram_figure,
    learning_figures,
    pr_figure,
    roc_figure,
    subgroup_figure,
)
from mammo_train.gallery_page import gallery_sections
from mammo_train.heat_study import HeatStudy
from mammo_train.html_page import (
    Cell,
    Section,
    cards,
    figure,
    heading,
    page,
    paragraph,
    side_by_side,
    table,
    warning,
)
from mammo_train.measures import PROBABILITY, RANKING, AtThreshold, Figure, Level
from mammo_train.units import Units


def evaluation_page(
    evaluation: Evaluation,
    header: CheckpointHeader,
    breasts: Units,
    curves: Curves,
    heat: HeatStudy,
    log: Sequence[Mapping[str, Any]],
) -> str:
    """Lay out the report; ``log`` are the events of the run that made the checkpoint, if there was one."""
    subject = evaluation.subject
    part = "the whole set" if subject.part == "all" else f"the {subject.part} part"
    lead = (
        f"{subject.images:,} images of {subject.breasts:,} breasts of {subject.patients:,} patients: {part} of "
        f"{subject.data_source}."
    )
    sections = [
        _glance(evaluation),
        _discrimination(evaluation, curves),
        _operating_points(evaluation, breasts),
        _calibration(evaluation),
        _subgroups(evaluation),
        _baselines(evaluation),
        *_conventions(evaluation),
        _heatmaps(evaluation, heat),
        *gallery_sections(heat),
        *_learning(log),
        _about(evaluation, header),
    ]
    return page(f"Evaluation of {subject.model} {subject.model_version}", sections, lead=lead)


def _glance(evaluation: Evaluation) -> Section:
    breast = evaluation.levels[0]
    of = {found.name: found for found in breast.figures}
    shown = [
        ("ROC-AUC", f"{of['roc_auc'].own.value:.3f}", _between(of["roc_auc"])),
        ("PR-AUC", f"{of['pr_auc'].own.value:.3f}", f"{_between(of['pr_auc'])}; chance {breast.prevalence:.3f}"),
    ]
    if evaluation.operating_points:
        point = evaluation.operating_points[0]
        cost = {found.name: found for found in point.breast.figures}
        shown += [
            (name, f"{cost[key].own.value:.1%}", _between(cost[key], percent=True))
            for name, key in (
                ("Sensitivity", "sensitivity"),
                ("Specificity", "specificity"),
                ("Recall rate", "recall_rate"),
            )
        ]
        at = f"Sensitivity, specificity, recall rate: at the threshold {point.chosen.threshold:.3f} ({point.name})."
    else:
        at = "The checkpoint has no operating point."
    text = (
        f"Per breast (mean over its views): {breast.n:,} breasts of {breast.patients:,} patients, {breast.positives:,} "
        f"positive (prevalence {breast.prevalence:.1%}). In brackets: 95 % intervals, bootstrap over patients, "
        f"{evaluation.settings.draws:,} draws. {at}"
    )
    return Section("At a glance", "".join(map(warning, evaluation.warnings)) + cards(shown) + paragraph(text))


def _between(found: Figure, *, percent: bool = False) -> str:
    form = ".1%" if percent else ".3f"
    return "-" if found.own.low != found.own.low else f"({found.own.low:{form}} to {found.own.high:{form}})"


def _discrimination(evaluation: Evaluation, curves: Curves) -> Section:
    breast = evaluation.levels[0]
    of = {found.name: found for found in breast.figures}
    plots = side_by_side(
        figure(
            roc_figure(curves, of["roc_auc"].own, evaluation.operating_points),
            caption="ROC curve of the breasts. Marks: thresholds chosen on validation, as they fall here.",
            name="roc",
        ),
        figure(
            pr_figure(curves, of["pr_auc"].own, breast.prevalence),
            caption="Precision-recall curve of the breasts at the set's own prevalence, on which it depends.",
            name="pr",
        ),
    )
    tables = _levels(evaluation.levels, RANKING, "At the set's own prevalence.", stated=False)
    if evaluation.subject.stated_prevalence is not None:
        caption = (
            f"The same units re-weighted to a stated prevalence of {evaluation.subject.stated_prevalence:.2%}: an "
            "estimate, not a measurement at that prevalence. What is measured within each class (ROC-AUC, sensitivity, "
            "specificity) stays as it is."
        )
        tables += _levels(evaluation.levels, RANKING, caption, stated=True)
    return Section("Telling positive from negative", plots + tables)


def _levels(levels: Sequence[Level], names: Mapping[str, str], caption: str, *, stated: bool) -> str:
    head = ["", *(f"{level.unit}: {level.how}" for level in levels)]
    rows: list[list[Cell]] = []
    if not stated:
        rows += [
            ["units", *(level.n for level in levels)],
            ["of them positive", *(level.positives for level in levels)],
            ["patients", *(level.patients for level in levels)],
            ["prevalence", *(level.prevalence for level in levels)],
        ]
    for name, title in names.items():
        found = [next(f for f in level.figures if f.name == name) for level in levels]
        rows.append([title, *((f.stated if stated else f.own) for f in found)])
    return table(head, rows, caption=caption)


def _operating_points(evaluation: Evaluation, breasts: Units) -> Section:
    points = evaluation.operating_points
    if not points:
        text = "The checkpoint holds neither an operating point nor validation scores to choose one on."
        plot = figure(histogram_figure(breasts, None), caption="Scores of the breasts.", name="scores")
        return Section("Operating points", paragraph(text) + plot)
    said = paragraph(
        "Every threshold was chosen on the validation scores that are stored in the checkpoint and is applied here "
        "unchanged; a patient is flagged when one of her breasts is."
    )
    first = points[0]
    plots = side_by_side(
        figure(
            histogram_figure(breasts, first.chosen.threshold),
            caption=f"Scores of the breasts, and the threshold: {first.name}.",
            name="scores",
        ),
        figure(
            confusion_figure(first.breast),
            caption=f"Breasts at the threshold {first.chosen.threshold:.3f} ({first.name}).",
            name="confusion",
        ),
    )
    return Section("Operating points", said + plots + _costs(evaluation, points) + _accuracies(points))


def _costs(evaluation: Evaluation, points: Sequence[Point]) -> str:
    chosen = table(
        ["", "rule", "threshold", "sensitivity on validation", "specificity on validation", "breasts", "positive"],
        [
            [
                p.name,
                p.chosen.rule,
                p.chosen.threshold,
                p.chosen.sensitivity,
                p.chosen.specificity,
                p.chosen.n,
                p.chosen.positives,
            ]
            for p in points
        ],
        caption="How they were chosen.",
    )
    names = ("sensitivity", "specificity", "recall_rate", "ppv", "npv")
    here = ""
    for unit in ("breast", "patient"):
        costs = [(p.name, p.breast if unit == "breast" else p.patient) for p in points]
        of = costs[0][1]
        base = f"Per {unit} here: {of.n:,}, {of.positives:,} positive, of {of.patients:,} patients"
        here += _cost_table(
            costs, names, f"{base}, at the set's own prevalence of {of.positives / of.n:.2%}.", stated=False
        )
        prevalence = evaluation.subject.stated_prevalence
        if prevalence is not None:
            caption = f"Per {unit}, re-weighted to a prevalence of {prevalence:.2%}."
            here += _cost_table(costs, ("recall_rate", "ppv", "npv"), caption, stated=True)
    return chosen + here


def _cost_table(costs: Sequence[tuple[str, AtThreshold]], names: Sequence[str], caption: str, *, stated: bool) -> str:
    rows: list[list[Cell]] = []
    for title, cost in costs:
        of = {found.name: found for found in cost.figures}
        rows.append([title, cost.threshold, *((of[n].stated if stated else of[n].own) for n in names)])
    titles = [next(found.title for found in costs[0][1].figures if found.name == name) for name in names]
    return table(["", "threshold", *titles], rows, caption=caption, marked=(0,))


def _accuracies(points: Sequence[Point]) -> str:
    costs = [(point.name, point.breast) for point in points]
    caption = (
        "Accuracy and F1 per breast say little by themselves: beside them, the accuracy of calling everything negative."
    )
    return _cost_table(costs, ("accuracy", "all_negative_accuracy", "f1"), caption, stated=False)


def _calibration(evaluation: Evaluation) -> Section:
    prevalence = evaluation.subject.stated_prevalence
    plot = figure(
        calibration_figure(evaluation.calibration, evaluation.calibration_stated, prevalence),
        caption="Breasts in ranges of probability with equally many each: what was given, and what was found. On the "
        "dashed line they agree; below it, probabilities are too high.",
        name="calibration",
    )
    breast = evaluation.levels[0]
    rows: list[list[Cell]] = [[f.title, f.own, f.stated] for f in breast.figures if f.name in PROBABILITY]
    stated = "" if prevalence is None else f"shifted and re-weighted to {prevalence:.2%}"
    figures = table(["per breast", "as given, own prevalence", stated or "no prevalence stated"], rows)
    bins = table(
        ["probability from", "to", "breasts", "positive", "mean given", "part found"],
        [[b.low, b.high, b.n, b.positives, b.mean_probability, b.observed] for b in evaluation.calibration],
        caption="Ranges at the set's own prevalence.",
    )
    return Section("Calibration", side_by_side(plot, figures) + bins)


def _subgroups(evaluation: Evaluation) -> Section:
    if not evaluation.subgroups:
        return Section("Subgroups", paragraph("All images are alike in density, age, view, machine, site and source."))
    overall = next(f.own.value for f in evaluation.levels[0].figures if f.name == "roc_auc")
    plot = figure(
        subgroup_figure(evaluation.subgroups, overall),
        caption="Dotted: all breasts; dashed: chance. Grey: too small to say much. Groups of one class have no figure.",
        name="subgroups",
    )
    rows: list[list[Cell]] = [
        [
            f"{g.by} {g.value}" + (" (images)" if g.unit == "image" else ""),
            *(g.n, g.positives, g.patients),
            *(g.roc_auc, g.pr_auc, g.sensitivity, g.specificity),
            "few" if g.warning else "",
        ]
        for g in evaluation.subgroups
    ]
    head = ["breasts by", "n", "positive", "patients", "ROC-AUC", "PR-AUC", "sensitivity", "specificity", ""]
    caption = (
        "Sensitivity and specificity at the checkpoint's operating point. PR-AUC depends on a group's own prevalence. "
        "Groups were not chosen beforehand: differences among many groups arise by chance. "
        f"Few: less than {evaluation.settings.few} positive or negative ones, of which little can be said."
    )
    return Section("Subgroups", plot + table(head, rows, caption=caption))


def _baselines(evaluation: Evaluation) -> Section:
    of = {found.name: found.own for found in evaluation.levels[0].figures}
    rows: list[list[Cell]] = [["the model", of["roc_auc"], of["pr_auc"], "", "", ""]]
    rows += [_baseline_row(found) for found in evaluation.baselines]
    head = ["per breast", "ROC-AUC", "PR-AUC", "model's ROC-AUC above it", "model's PR-AUC above it", "how"]
    text = "How far one gets without looking at the picture. A model that is not clearly above has learnt little else."
    if any("cross-validation" in found.how for found in evaluation.baselines):
        text += " Cross-validation over few patients puts a baseline that knows nothing below 0.5."
    return Section("Without the picture", paragraph(text) + table(head, rows, marked=(0,)))


def _baseline_row(found: BaselineResult) -> list[Cell]:
    return [f"{found.kind} alone", found.roc_auc, found.pr_auc, found.roc_auc_above, found.pr_auc_above, found.how]


def _conventions(evaluation: Evaluation) -> list[Section]:
    if not evaluation.conventions:
        return []
    rows: list[list[Cell]] = []
    for found in evaluation.conventions:
        of = {f.name: f.own for f in found.level.figures}
        cost = {} if found.at_threshold is None else {f.name: f.own for f in found.at_threshold.figures}
        rates: list[Cell] = [cost.get("sensitivity"), cost.get("specificity")]
        rows.append([found.name, found.level.n, found.level.positives, of["roc_auc"], of["pr_auc"], *rates])
    head = ["", "breasts", "positive", "ROC-AUC", "PR-AUC", "sensitivity", "specificity"]
    text = "The labels of this set are a radiologist's BI-RADS and not pathology, and BI-RADS 3 can be read both ways."
    return [Section("Both readings of BI-RADS 3", paragraph(text) + table(head, rows))]


def _heatmaps(evaluation: Evaluation, heat: HeatStudy) -> Section:
    text = paragraph(
        f"{heat.method}, measured on {evaluation.heat_sample}, over the breast. A heatmap shows where the score came "
        "from; it is not a detection."
    )
    if evaluation.localisation:
        rows: list[list[Cell]] = [
            [
                x.images,
                x.n,
                x.patients,
                x.pointing,
                x.pointing_at_random,
                x.shuffled_pointing,
                x.heat_in_lesion,
                x.lesion_share,
                x.shuffled_heat_in_lesion,
                x.without_map,
            ]
            for x in evaluation.localisation
        ]
        head = [
            "images with a mask", "n", "patients", "strongest place on the lesion", "at random", "weights shuffled",
            "share of the heat in the lesion", "lesion's share of the breast", "weights shuffled", "nothing localised",
        ]  # fmt: skip
        caption = (
            "Pointing game: the strongest place is in the mask or within half a cell of the map. "
            "Beside each figure, what an even map would achieve, and what the same network does with the values of "
            "every weight tensor in random order (Adebayo et al. 2018): a map that stays as good shows the picture, "
            "and not what was learnt."
        )
        text += heading("On the lesion?") + table(head, rows, caption=caption)
    else:
        text += paragraph("No image here has a lesion mask: whether the heat lies on the lesion cannot be measured.")
    if evaluation.heat_differences:
        differences: list[list[Cell]] = [
            [d.title, d.malignant, d.negative, d.difference, d.n_malignant, d.n_negative]
            for d in evaluation.heat_differences
        ]
        head = ["mean over images", "malignant", "negative", "difference", "n malignant", "n negative"]
        caption = (
            "An interval of the difference that holds 0 shows none. Where nothing is localised, the peak is 0 "
            "and there is no spread."
        )
        text += heading("Malignant against negative") + table(head, differences, caption=caption)
    return Section("Heatmaps", text)


def _learning(log: Sequence[Mapping[str, Any]]) -> list[Section]:
    drawn = learning_figures(log)
    if drawn is None:
        return []
    loss, ranked = drawn
    plots = side_by_side(
        figure(loss, caption="Losses of phases with different weights for positives do not compare.", name="loss"),
        figure(ranked, caption="Dashed: the epoch whose weights the checkpoint holds.", name="learning"),
    )
    return [Section("Learning curves", plots)]


def _about(evaluation: Evaluation, header: CheckpointHeader) -> Section:
    subject, card = evaluation.subject, header.card
    rows: list[list[Cell]] = [
        ["model", f"{subject.model} {subject.model_version}, sha256 {subject.model_sha256}"],
        ["network", f"{header.architecture.in_words}, input {header.inputs.height} x {header.inputs.width}"],
        ["about", card.summary],
        ["learnt from", card.training_data],
        ["limits", " ".join(card.limits)],
        ["set", f"{subject.data_source}, table sha256 {subject.data_sha256}"],
        ["part", f"{subject.part}" + (f", split sha256 {subject.split_sha256}" if subject.split_sha256 else "")],
        ["intervals", f"95 %, percentile bootstrap over patients, {evaluation.settings.draws:,} draws, pointwise"],
    ]
    if header.calibration is not None:
        found = header.calibration
        stated = f"stated for a prevalence of {found.stated_prevalence:.2%}"
        text = f"per {found.unit} on {found.n:,} of {found.source}, {stated}"
        rows.append(["calibration", text])
    return Section("What was evaluated", table(["", ""], rows))
