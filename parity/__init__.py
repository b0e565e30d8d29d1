"""Is our engine the same model as upstream? `python -m parity` puts both beside each other."""
