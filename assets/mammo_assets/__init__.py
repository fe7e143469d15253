"""Files shipped with the product: bundled models, the viewer and the theme."""
