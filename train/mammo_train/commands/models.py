"""``mammo models``: what ships with the product."""

from rich.console import Console


def models() -> None:
    """List the models that ship with the product, and what each is good for."""
    from mammo_core.checkpoint import load_checkpoint
    from mammo_core.model_files import bundled_models

    console = Console()
    for name, path in bundled_models().items():
        checkpoint = load_checkpoint(path)
        header = checkpoint.header
        size = path.stat().st_size / 1e6
        console.print(f"{name} {header.version}", style="bold", markup=False, highlight=False)
        for title, text in (
            ("file", f"{path.name}, {size:.1f} MB, sha256 {checkpoint.sha256}"),
            (
                "network",
                f"{header.architecture.backbone}, input {header.inputs.height} x {header.inputs.width}",
            ),
            ("about", header.card.summary),
            *(("measured", result) for result in header.card.results),
            *(("limit", limit) for limit in header.card.limits),
            ("made by", header.card.reproduce),
        ):
            console.print(f"  {title:9}{text}", markup=False, highlight=False)
