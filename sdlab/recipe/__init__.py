"""What to draw: a request, sweeps that vary it, and the words for prompts, schedulers and parts."""
