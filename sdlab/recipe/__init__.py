"""What to draw: a request, the sweeps that vary it, and the words in which prompts, schedulers and parts are named."""
