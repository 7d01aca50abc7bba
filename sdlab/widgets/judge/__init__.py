"""Pictures judged by eye, one at a time, without knowing whose they are."""
