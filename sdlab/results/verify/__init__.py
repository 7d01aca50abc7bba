"""`verify`: what was handed on is rendered again, and it is said whether the same comes out."""

from .verification import Verification, verify

__all__ = ["Verification", "verify"]
