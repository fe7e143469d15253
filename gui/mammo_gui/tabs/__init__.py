"""One tab of the app each."""
