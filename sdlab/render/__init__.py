"""Recipes become pictures: planned, put into batches, denoised, decoded and saved."""
