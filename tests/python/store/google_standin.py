"""A stand-in for Google Cloud Storage: its XML protocol, as far as the crate object_store speaks it.

    python google_standin.py PORT

In memory, on loopback, under one lock, without credentials.
"""

import email.utils
import itertools
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

# Rises with each write: the generation of an object, and the id of an upload.
NUMBERS = itertools.count(time.time_ns() // 1000)
LOCK = threading.Lock()
BUCKETS = {}
UPLOADS = {}


@dataclass
class Object:
    data: bytes
    kind: str
    generation: int = field(default_factory=lambda: next(NUMBERS))
    modified: float = field(default_factory=time.time)

    @property
    def etag(self):
        return f'"{self.generation:x}"'

    def headers(self):
        return {
            "ETag": self.etag, "x-goog-generation": self.generation, "Content-Type": self.kind,
            "Last-Modified": email.utils.formatdate(self.modified, usegmt=True),
        }


class Refused(Exception):
    def __init__(self, status, code):
        self.status, self.code = status, code


def xml(tag, *content):
    return f"<{tag}>{''.join(content)}</{tag}>"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: in two, each answer waits 40 ms for an acknowledgement.
    wbufsize = -1

    def log_message(self, *_):
        pass

    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(length)
        address = urlsplit(self.path)
        bucket, _, key = address.path.lstrip("/").partition("/")
        self.bucket, self.key = unquote(bucket), unquote(key)
        self.query = dict(parse_qsl(address.query, keep_blank_values=True))
        try:
            if (self.command, self.key) != ("PUT", "") and self.bucket not in BUCKETS:
                raise Refused(404, "NoSuchBucket")
            getattr(self, self.command.lower())()
        except Refused as refused:
            said = xml("Error", xml("Code", refused.code), xml("Message", refused.code))
            self.say(refused.status, said.encode(), {"Content-Type": "application/xml"})

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

    def say(self, status, body=b"", headers={}):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def store(self, data):
        """Writes the object, if it has the generation that the request names; 0 says that there is none."""
        wanted = self.headers.get("x-goog-if-generation-match")
        with LOCK:
            old = BUCKETS[self.bucket].get(self.key)
            if wanted is not None and int(wanted) != (old.generation if old else 0):
                raise Refused(412, "PreconditionFailed")
            new = Object(data, self.headers.get("Content-Type", "application/octet-stream"))
            BUCKETS[self.bucket][self.key] = new
            return new

    def put(self):
        if not self.key:
            BUCKETS.setdefault(self.bucket, {})
            return self.say(200)
        if "uploadId" in self.query:
            UPLOADS[self.query["uploadId"]][int(self.query["partNumber"])] = self.body
            return self.say(200, headers={"ETag": f'"{self.query["partNumber"]}"'})
        data = self.body
        if source := self.headers.get("x-goog-copy-source"):
            bucket, _, key = unquote(source).lstrip("/").partition("/")
            copied = BUCKETS.get(bucket, {}).get(key)
            if copied is None:
                raise Refused(404, "NoSuchKey")
            data = copied.data
        self.say(200, headers=self.store(data).headers())

    def get(self):
        if not self.key:
            return self.list()
        found = BUCKETS[self.bucket].get(self.key)
        if found is None or self.query.get("generation", str(found.generation)) != str(found.generation):
            raise Refused(404, "NoSuchKey")
        if self.headers.get("If-None-Match") in (found.etag, "*"):
            return self.say(304, headers=found.headers())
        if self.headers.get("If-Match") not in (None, "*", found.etag):
            raise Refused(412, "PreconditionFailed")
        size = len(found.data)
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not wanted:
            return self.say(200, found.data, found.headers())
        first, last = wanted.groups()
        if not first:
            first, last = max(0, size - int(last)), size - 1
        first, last = int(first), min(int(last or size - 1), size - 1)
        if first >= size:
            raise Refused(416, "InvalidRange")
        part = found.data[first:last + 1]
        self.say(206, part, found.headers() | {"Content-Range": f"bytes {first}-{last}/{size}"})

    head = get

    def delete(self):
        if "uploadId" in self.query:
            UPLOADS.pop(self.query["uploadId"], None)
            return self.say(204)
        with LOCK:
            if BUCKETS[self.bucket].pop(self.key, None) is None:
                raise Refused(404, "NoSuchKey")
        self.say(204)

    def post(self):
        if "uploads" in self.query:
            upload = f"u{next(NUMBERS)}"
            UPLOADS[upload] = {}
            named = xml("Bucket", escape(self.bucket)), xml("Key", escape(self.key)), xml("UploadId", upload)
            return self.say(200, xml("InitiateMultipartUploadResult", *named).encode())
        if "uploadId" not in self.query:
            raise Refused(400, "InvalidArgument")
        parts = UPLOADS.pop(self.query["uploadId"])
        order = map(int, re.findall(rb"<PartNumber>(\d+)</PartNumber>", self.body))
        whole = self.store(b"".join(parts[number] for number in order))
        said = xml("CompleteMultipartUploadResult", xml("ETag", escape(whole.etag)))
        self.say(200, said.encode(), whole.headers())

    def list(self):
        """A page of the bucket: keys in order, those with the delimiter as prefixes."""
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter", "")
        after = self.query.get("continuation-token") or self.query.get("start-after", "")
        most = int(self.query.get("max-keys", 1000))
        with LOCK:
            objects = sorted(BUCKETS[self.bucket].items())
        found, prefixes, last, more = [], [], "", False
        for key, item in objects:
            if not key.startswith(prefix) or key <= after:
                continue
            folder, deeper, _ = key[len(prefix):].partition(delimiter) if delimiter else (None, "", "")
            folder = prefix + folder + delimiter if deeper else None
            if folder and folder in prefixes[-1:]:
                continue
            if len(found) + len(prefixes) == most:
                more = True
                break
            if folder:
                prefixes.append(folder)
                # After everything below the folder.
                last = folder + "\U0010ffff"
            else:
                found.append(xml(
                    "Contents", xml("Key", escape(key)), xml("Generation", str(item.generation)),
                    xml("ETag", escape(item.etag)), xml("Size", str(len(item.data))),
                    xml("LastModified", time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(item.modified))),
                ))
                last = key
        page = [
            xml("Name", escape(self.bucket)), *found,
            *(xml("CommonPrefixes", xml("Prefix", escape(folder))) for folder in prefixes),
            xml("IsTruncated", str(more).lower()),
            *([xml("NextContinuationToken", escape(last))] if more else []),
        ]
        self.say(200, xml("ListBucketResult", *page).encode(), {"Content-Type": "application/xml"})


class Standin(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


if __name__ == "__main__":
    Standin(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
