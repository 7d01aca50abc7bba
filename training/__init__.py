"""How the embedded models and the detector were made and are judged; not installed with sdlab."""
