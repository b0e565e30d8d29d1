"""The way out: everything fetched from other machines goes through one guarded client."""
