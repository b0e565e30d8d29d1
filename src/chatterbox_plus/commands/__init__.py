"""The commands of `chatterbox-plus`, a module each, and what they share."""
