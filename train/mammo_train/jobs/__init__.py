"""Long work in processes of its own: queued, started, stopped, carried on. A folder holds all that is known of it."""
