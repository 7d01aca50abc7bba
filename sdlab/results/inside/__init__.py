"""How the words become a picture: one cell rendered once more, and watched."""

from .insight import Insight, inside

__all__ = ["Insight", "inside"]
