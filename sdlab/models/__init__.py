"""Which weights: checkpoints by name or place, and how they become a pipeline in memory."""
