"""The rows of a batch as work: what each is called, what is there already, and who must not be overwritten."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from chatterbox_plus.audio.formats import FORMATS
from chatterbox_plus.commands.batch_manifest import Manifest, file_digest, value_digest
from chatterbox_plus.commands.common import local_audio
from chatterbox_plus.commands.output import Target
from chatterbox_plus.errors import FileExists, NotFound, PlusError
from chatterbox_plus.jobs.batch_check import check_rows
from chatterbox_plus.jobs.batch_input import MAX_PROBLEMS, InvalidRows, Row, RowProblem
from chatterbox_plus.library.naming import any_spelling, safe_folder
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.sources import is_url
from chatterbox_plus.synthesis.studio import Studio

_VOICE = "reference_audio_filename"
_NOWHERE = ("timestamps", "keep_original_wav_ae")  # options whose result lies beside the audio in the data folder


@dataclass(frozen=True)
class Piece:
    """One row, ready to be made.

    line: of the file, from 1. name: of its files below the folder, forward slashes, without extension. reference: a
    local recording to sound like. digest: of all that decides how it sounds, as far as the table and recordings do.
    """

    line: int
    name: str
    folder: Path
    options: SpeechOptions
    reference: Path | None
    digest: str

    @property
    def paths(self) -> list[tuple[str, Path]]:
        """(format, path) of every file."""
        whole = self.folder / self.name
        return [(name, whole.with_name(whole.name + FORMATS[name].suffix)) for name in self.options.export_formats]

    @property
    def notes(self) -> list[str]:
        return [f"{name} had no effect: only audio is written here" for name in _NOWHERE if getattr(self.options, name)]

    def is_made(self, manifest: Manifest) -> bool:
        """Whether just this was made before and is still there, whatever has been done to it since."""
        entry = manifest.get(self.name)
        return entry is not None and entry.digest == self.digest and all(path.is_file() for _, path in self.paths)

    def targets(self, manifest: Manifest, *, force: bool) -> list[Target]:
        """The files to write. Raises FileExists for one that is there and is not what was made for this row."""
        targets = []
        for format, path in self.paths:
            there = path.is_symlink() or path.exists()
            target = Target(path, format, replace=there and (force or manifest.made(self.name, path)))
            if there and (path.is_dir() or not target.replace):
                raise FileExists(f"{path.name} is there already and was not made here, or was changed; --force "
                                 "overwrites it")  # fmt: skip
            targets.append(target)
        return targets


def pieces_of(rows: Sequence[Row], folder: Path, studio: Studio) -> list[Piece]:
    """The rows as work in that folder. Raises InvalidRows, BadRequest."""
    named = [replace(row, number=row.line) for row in rows]
    references: dict[int, Path | None] = {}
    folders: dict[int, Path] = {}
    problems: list[RowProblem] = []
    for row in named:
        options = SpeechOptions.model_validate(row.options)
        try:
            references[row.number] = local_audio(options.reference_audio_filename or "")
            folders[row.number] = Path(safe_folder(options.subfolder))
        except PlusError as error:
            column = "project" if row.number in references else "voice"
            problems.append(RowProblem(row.number, column, error.message))
    try:
        sound = [row for row in named if row.number in folders]
        check_rows(studio, (_without_voice(row) if references[row.number] else row for row in sound))
    except InvalidRows as wrong:
        problems += wrong.problems
    if problems:
        raise InvalidRows(sorted(problems, key=lambda problem: problem.line)[:MAX_PROBLEMS])

    @cache
    def heard(name: str) -> str | None:
        return _recording(studio, name)

    digest_of_local = cache(file_digest)
    pieces = []
    for row, stem in zip(named, _stems(rows), strict=True):
        reference, options = references[row.number], SpeechOptions.model_validate(row.options)
        voice = digest_of_local(reference) if reference else heard(options.reference_audio_filename or "")
        digest = value_digest({"options": dict(row.options), "voice": voice})
        name = (folders[row.number] / stem).as_posix()
        pieces.append(Piece(row.number, name, folder, options, reference, digest))
    return pieces


def _without_voice(row: Row) -> Row:
    return replace(row, options={name: value for name, value in row.options.items() if name != _VOICE})


def _recording(studio: Studio, name: str) -> str | None:
    """The digest of a stored voice's recording, None for whoever speaks without one."""
    if not name or is_url(name):
        return None
    try:
        return file_digest(studio.voices.recording(name).path)
    except NotFound:
        return None


def _stems(rows: Sequence[Row]) -> Iterator[str]:
    """A name for every row; that of one without is its number, or more, if another row is called so."""
    taken = {any_spelling(Path(row.name)) for row in rows if row.name is not None}
    for row in rows:
        stem = f"{row.number:04d}" if row.name is None else row.name
        while row.name is None and any_spelling(Path(stem)) in taken:
            stem += "_"
        yield stem
