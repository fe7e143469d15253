"""The gallery of a report: chosen pictures with their heat and their lesions, layer upon layer.

Knows nothing of how cases are chosen.
"""

from html import escape

from mammo_train.heat_study import Case, HeatStudy
from mammo_train.html_page import Section, heading, paragraph, picture_uri

_SWITCHES = (
    '<p><label class="switch"><input type="checkbox" class="heat-on" checked> heatmap</label>'
    '<label class="switch"><input type="checkbox" class="lesion-on" checked> outline of the lesion mask</label></p>'
)


def gallery_sections(heat: HeatStudy) -> list[Section]:
    """Lay out the gallery, or nothing where it holds no case."""
    if not any(cases for _, cases in heat.gallery):
        return []
    body = paragraph(
        "Chosen by score and not by hand, at most one image of a breast. Chest wall to the left. Colours run from dark "
        f"red to pale yellow at {heat.scale:.3g} logits, on one scale for all cases, so that a quiet view looks quiet."
    )
    body += _SWITCHES
    for group, cases in heat.gallery:
        if cases:
            body += heading(group.title) + f'<div class="gallery">{"".join(map(_case, cases))}</div>'
    return [Section("Gallery", body)]


def _case(case: Case) -> str:
    layers = [f'<img alt="{escape(case.caption)}" src="{picture_uri(case.layers.picture)}">']
    layers.append(f'<img class="heat" alt="heatmap" src="{picture_uri(case.layers.heat)}">')
    if case.layers.outline is not None:
        layers.append(f'<img class="lesion" alt="lesion mask" src="{picture_uri(case.layers.outline)}">')
    truth = "malignant" if case.cancer else "negative"
    facts = f"{truth}; peak {case.facts.peak:.3g}" if case.facts.localised else f"{truth}; nothing localised"
    if case.facts.pointed is not None and case.facts.localised:
        facts += ", on the lesion" if case.facts.pointed else ", beside the lesion"
    return (
        f'<figure class="case"><div class="layers">{"".join(layers)}</div>'
        f"<figcaption><b>{case.score:.3f}</b> {escape(facts)}<br>{escape(case.caption)}</figcaption></figure>"
    )
