"""What pupils expect, before they see it."""
