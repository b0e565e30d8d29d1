"""What other processes do to a store in these tests: `python worker.py reserve|crash|start ROOT`."""

import json
import os
import sys
from pathlib import Path

from chatterbox_plus.library.library import Library
from chatterbox_plus.library.store import Store


def reserve(root: Path, writer: str, times: int) -> list[str]:
    """Saves `times` generations under one and the same name; the stems they got."""
    stems = []
    store = Store(root, sidecar_per_stem=True)
    for n in range(times):
        with store.reserve("book", "take", (".wav", ".mp3")) as place:
            for suffix in (".wav", ".mp3"):
                place.open(suffix).write(f"{writer}-{n}".encode())
            place.write_json({"by": f"{writer}-{n}"})
            place.commit()
        stems.append(place.stem)
    return stems


def data_folder(data: Path) -> Library:
    return Library(data / "reference_audio", data / "vc_inputs", data / "outputs", data / "temp", data=data)


def main(task: str, where: Path) -> None:
    if task == "reserve":
        print(json.dumps(reserve(where, str(os.getpid()), 20)))  # noqa: T201
    elif task == "crash":
        place = Store(where, sidecar_per_stem=True).reserve("book", "take", (".wav", ".mp3"))
        place.write_json({"by": "nobody"})
        file = place.open(".wav")
        file.write(b"half a file")
        file.flush()
        os._exit(9)
    elif task == "start":
        with data_folder(where).first_start() as fresh:
            print(json.dumps(fresh), flush=True)  # noqa: T201
            sys.stdin.readline()  # stays at it until told
    elif task == "start-and-die":
        with data_folder(where).first_start():
            os._exit(9)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
