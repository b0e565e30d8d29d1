"""Settings become a shelf of models and the hub that fills it."""

import os

from chatterbox_plus.models.hub import Hub
from chatterbox_plus.models.shelf import Shelf, hub_cache
from chatterbox_plus.net.client import Retries
from chatterbox_plus.settings import Settings


def open_shelf(settings: Settings) -> Shelf:
    """The models of the data folder, and of the hub's cache of whoever runs this."""
    return Shelf(settings.paths.data_dir / "models", hub_cache(os.environ))


def open_hub(settings: Settings) -> Hub:
    handling = settings.error_handling
    retries = handling.download_retries
    tries = Retries(
        retries.max_retries,
        retries.base_delay_seconds,
        retries.max_delay_seconds,
        retries.backoff_factor,
        retries.enable_jitter,
    )
    return Hub(tries, deadline_s=handling.model_loading.download_timeout_seconds)
