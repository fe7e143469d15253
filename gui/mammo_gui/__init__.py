"""The Gradio app: presentation only."""
