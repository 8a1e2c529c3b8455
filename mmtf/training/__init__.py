"""The training loop, independent of the game: compiled steps, checkpoints, resuming."""
