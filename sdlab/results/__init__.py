"""A frame of results becomes columns, figures and evidence."""
