"""How fast a model is here, and in how much memory: `chatterbox-plus bench`, and `bench.engine` beside upstream.

A model is measured in a process of its own (`__main__`), which is told what to do line by line (`protocol`): what one
mode needs is not in another's memory. `driving` does it, `plan` says what is done in which order, `figures` how it is
shown, `material` what is said. Only `driving` and the process need PyTorch.
"""
