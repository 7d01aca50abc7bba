"""The widgets as tabs over one store."""
