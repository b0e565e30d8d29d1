"""As much of S3 as we use, in memory: a bucket over HTTP that takes any signature."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

PAGE = 3  # keys in a list: so that there are more pages than one


@dataclass
class Bucket:
    """Keys with the bucket's name before them."""

    objects: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    guard: Lock = field(default_factory=Lock)


@contextmanager
def serving() -> Iterator[tuple[Bucket, str]]:
    """The bucket, and the URL of its server."""
    bucket = Bucket()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = self._query()
            if "list-type" in query:
                self._list(query)
                return
            with bucket.guard:
                found = bucket.objects.get(self._key())
            if found is None:
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            else:
                self._answer(200, found[0], self._about(found))

        do_HEAD = do_GET

        def do_PUT(self) -> None:
            body, query = self._body(), self._query()
            with bucket.guard:
                if "partNumber" in query:
                    bucket.parts[query["uploadId"]][int(query["partNumber"])] = body
                    self._answer(200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'})
                    return
                if self.headers.get("If-None-Match") == "*" and self._key() in bucket.objects:
                    self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                    return
                bucket.objects[self._key()] = found = (body, time.time())
            self._answer(200, b"", self._about(found))

        def do_POST(self) -> None:
            body, query = self._body(), self._query()
            with bucket.guard:
                if "uploads" in query:
                    id = str(len(bucket.parts))
                    bucket.parts[id] = {}
                    told = f"<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                elif "uploadId" in query:
                    whole = b"".join(part for _, part in sorted(bucket.parts.pop(query["uploadId"]).items()))
                    bucket.objects[self._key()] = found = (whole, time.time())
                    etag = escape(self._about(found)["ETag"])
                    told = f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>"
                else:
                    assert "delete" in query, body
                    keys = [key.partition("</Key>")[0] for key in body.decode().split("<Key>")[1:]]
                    for key in keys:
                        bucket.objects.pop(f"{self._key().rstrip('/')}/{unescape(key)}", None)
                    deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
                    told = f"<DeleteResult>{deleted}</DeleteResult>"
            self._answer(200, told.encode())

        def do_DELETE(self) -> None:
            with bucket.guard:
                bucket.objects.pop(self._key(), None)
            self._answer(204, b"")

        def _list(self, query: dict[str, str]) -> None:
            name = self._key().rstrip("/") + "/"
            with bucket.guard:
                keys = sorted(key.removeprefix(name) for key in bucket.objects)
                keys = [key for key in keys if key.startswith(query.get("prefix", ""))]
                keys = [key for key in keys if key > query.get("continuation-token", "")]
                page = [(key, bucket.objects[name + key]) for key in keys[:PAGE]]
            items = "".join(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(found[0])}</Size>"
                f"<ETag>{escape(self._about(found)['ETag'])}</ETag>"
                f"<LastModified>{time.strftime('%Y-%m-%dT%H:%M:%S.000Z', time.gmtime(found[1]))}</LastModified>"
                "</Contents>"
                for key, found in page
            )
            more = f"<NextContinuationToken>{escape(page[-1][0])}</NextContinuationToken>" if keys[PAGE:] else ""
            more = f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}"
            told = f"<ListBucketResult>{more}{items}</ListBucketResult>"
            self._answer(200, told.encode())

        def _key(self) -> str:
            return unquote(urlsplit(self.path).path).removeprefix("/")

        def _query(self) -> dict[str, str]:
            return {k: v[0] for k, v in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()}

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _about(self, found: tuple[bytes, float]) -> dict[str, str]:
            etag = hashlib.md5(found[0] + str(found[1]).encode()).hexdigest()
            return {"ETag": f'"{etag}"', "Last-Modified": formatdate(found[1], usegmt=True)}

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield bucket, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
