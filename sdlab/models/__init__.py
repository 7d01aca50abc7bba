"""Which weights: checkpoints by name or place, what their files say, and how they become a pipeline in memory."""
