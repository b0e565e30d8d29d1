"""Books made in a test: EPUBs from a few strings, documents of a word processor from paragraphs."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

CONTAINER = (
    '<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
    '<rootfile full-path="{opf}" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
XHTML = "application/xhtml+xml"
NCX = "application/x-dtbncx+xml"
METADATA = "<dc:title>A Book</dc:title><dc:creator>A. Writer</dc:creator><dc:language>en</dc:language>"
JPEG = b"\xff\xd8\xff\xe0 and so on"
PNG = b"\x89PNG\r\n\x1a\n and so on"


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """UTF-8 for what is not bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def page(body: str, *, attributes: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">'
        f"<head><title>not read</title><style>p {{ color: red }}</style></head><body {attributes}>{body}</body></html>"
    )


def nav(*entries: tuple[str, str], more: str = "") -> str:
    """EPUB 3's table of contents from (title, href)."""
    items = "".join(f"<li><a href={quoteattr(href)}>{escape(title)}</a></li>" for title, href in entries)
    return page(f'<nav epub:type="toc"><h1>Contents</h1><ol>{items}</ol></nav>{more}')


def ncx(*entries: tuple[str, str]) -> str:
    """EPUB 2's table of contents from (title, src)."""
    points = "".join(
        f"<navPoint><navLabel><text>{escape(title)}</text></navLabel><content src={quoteattr(src)}/></navPoint>"
        for title, src in entries
    )
    return f"<?xml version='1.0'?><ncx><docTitle><text>no</text></docTitle><navMap>{points}</navMap></ncx>"


def epub(
    pages: Mapping[str, str | bytes],
    *,
    toc: str | None = None,
    toc_ncx: str | None = None,
    metadata: str = METADATA,
    more: Mapping[str, str | bytes] = {},
    manifest: str = "",
    spine: Sequence[str] | None = None,
    guide: str = "",
    hrefs: Mapping[str, str] = {},
    opf: str = "OEBPS/content.opf",
) -> bytes:
    """Pages by their names beside the package file, in reading order. spine: itemrefs, `pN` is the page N from 0."""
    items = [
        f'<item id="p{i}" href={quoteattr(hrefs.get(name, name))} media-type="{XHTML}"/>'
        for i, name in enumerate(pages)
    ]
    folder = opf.rpartition("/")[0] + "/" if "/" in opf else ""
    files: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER.format(opf=opf),
    }
    files |= {folder + name: content for name, content in pages.items()}
    if toc is not None:
        items.append(f'<item id="nav" href="nav.xhtml" properties="nav" media-type="{XHTML}"/>')
        files[folder + "nav.xhtml"] = toc
    if toc_ncx is not None:
        items.append(f'<item id="ncx" href="toc.ncx" media-type="{NCX}"/>')
        files[folder + "toc.ncx"] = toc_ncx
    order = spine if spine is not None else [f'<itemref idref="p{i}"/>' for i in range(len(pages))]
    files[opf] = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/">{metadata}</metadata><manifest>{"".join(items)}{manifest}'
        f'</manifest><spine toc="{"ncx" if toc_ncx else ""}">{"".join(order)}</spine>{guide}</package>'
    )
    return zipped(files | more)


STYLES = (
    "<w:styles><w:docDefaults><w:rPrDefault><w:rPr><w:lang w:val='fr-FR'/></w:rPr></w:rPrDefault></w:docDefaults>"
    "<w:style w:styleId='Titre'><w:name w:val='Title'/></w:style>"
    "<w:style w:styleId='berschrift1'><w:name w:val='heading 1'/></w:style>"
    "<w:style w:styleId='Mine'><w:name w:val='My chapters'/><w:basedOn w:val='berschrift1'/></w:style>"
    "<w:style w:styleId='TM1'><w:name w:val='toc 1'/></w:style></w:styles>"
)


def word(text: str, style: str = "") -> str:
    """A paragraph of a word processor."""
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{escape(text)}</w:t></w:r></w:p>"


def docx(body: str, *, core: str = "", more: Mapping[str, str | bytes] = {}) -> bytes:
    files: dict[str, str | bytes] = {
        "[Content_Types].xml": "<Types/>",
        "word/document.xml": f"<w:document><w:body>{body}</w:body></w:document>",
        "word/styles.xml": STYLES,
        "docProps/core.xml": f"<cp:coreProperties>{core}</cp:coreProperties>",
    }
    return zipped(files | more)
