"""`write_gallery`: a frame's pictures as a page that opens from disk, for who has no Python."""

from .gallery import write_gallery

__all__ = ["write_gallery"]
