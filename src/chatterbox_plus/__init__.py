"""Chatterbox Plus: self-hosted speech that people own."""

__version__ = "0.1.0"
