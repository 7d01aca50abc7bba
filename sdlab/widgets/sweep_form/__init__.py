"""The sweep as a form."""
