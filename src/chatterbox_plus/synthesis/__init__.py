"""From a request's options to finished audio. Knows engines, audio, text and the library; not HTTP, not jobs."""
