"""A frame, or a running job, as a grid of pictures."""
