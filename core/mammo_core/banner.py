"""The sentence on every screen, picture and page that leaves the product."""

BANNER = "Research use only - not for diagnosis"
