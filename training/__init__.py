"""How the embedded models and the detector's weights were made; not installed with sdlab."""
