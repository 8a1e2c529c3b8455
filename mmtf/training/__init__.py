"""The training loop: many steps a call, checkpointed, resumable; it knows of no adversary."""
