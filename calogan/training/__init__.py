"""Training: objectives, state, loop, selection."""
