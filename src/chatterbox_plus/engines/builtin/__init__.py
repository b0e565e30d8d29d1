"""The engine that needs no download: espeak-ng speech, moved towards a reference voice with the WORLD vocoder."""
