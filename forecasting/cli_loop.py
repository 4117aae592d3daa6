"""Commands of the closed loop: what runs by itself."""

from __future__ import annotations

__all__ = ()
