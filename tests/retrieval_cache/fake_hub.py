"""A hub on this machine: as much of its HTTP interface as reading a data set takes."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c0ffee" * 6 + "c0fe"
REPOSITORY = "someone/M4-RAG"


class Hub:
    """`files` of the one repository by path; those of `large` are stored as the hub stores large ones."""

    def __init__(self, files: dict[str, bytes], large: set[str] = frozenset()) -> None:
        self.files, self.large = files, large
        self.sent: dict[str, bytes] = {}  # path → what is sent instead of the file
        self.asked: list[str] = []
        self.url = ""

    def entry(self, path: str) -> dict:
        content = self.files[path]
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        made = {"type": "file", "oid": blob, "size": len(content), "path": path}
        if path in self.large:
            lfs = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
            made |= {"oid": "0" * 40, "lfs": lfs}
        return made

    def entries(self, folder: str, recursive: bool) -> list[dict]:
        found, folders = [], set()
        prefix = f"{folder}/" if folder else ""
        for path in sorted(path for path in self.files if path.startswith(prefix)):
            parts = path.removeprefix(prefix).split("/")
            if len(parts) == 1 or recursive:
                found.append(self.entry(path))
            depth = len(parts) - 1 if recursive else min(1, len(parts) - 1)
            folders |= {prefix + "/".join(parts[: n + 1]) for n in range(depth)}
        return found + [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in sorted(folders)]


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_arguments) -> None:
            pass

        def do_GET(self) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            split = urlsplit(self.path)
            path = unquote(split.path)
            if found := re.fullmatch(rf"/datasets/{REPOSITORY}/resolve/[^/]+/(.+)", path):
                self._content(found[1])
            elif found := re.fullmatch(rf"/api/datasets/{REPOSITORY}/tree/[^/]+/?(.*)", path):
                entries = hub.entries(found[1], parse_qs(split.query).get("recursive", [""])[0].lower() == "true")
                self._json(
                    entries if entries else {"error": "no such folder"}, 200 if entries else 404, "EntryNotFound"
                )
            elif re.fullmatch(rf"/api/datasets/{REPOSITORY}(/revision/(main|{COMMIT}))?", path):
                siblings = [{"rfilename": name} for name in hub.files]
                about = {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings, "tags": [], "lastModified": None}
                self._json(about | {"private": False, "gated": False, "disabled": False, "downloads": 0, "likes": 0})
            else:
                self._json({"error": "not found"}, 404, "RepoNotFound")

        do_HEAD = do_GET

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            hub.asked.append(f"POST {self.path} {body}")
            asked = json.loads(body)["paths"] if body.startswith("{") else parse_qs(body)["paths"]
            folders = {entry["path"]: entry for entry in hub.entries("", True) if entry["type"] == "directory"}
            found = [hub.entry(path) if path in hub.files else folders.get(path) for path in asked]
            self._json([entry for entry in found if entry])

        def _content(self, path: str) -> None:
            if path not in hub.files:
                self._json({"error": "no such file"}, 404, "EntryNotFound")
                return
            content = hub.sent.get(path, hub.files[path])
            status = 200
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hub.entry(path)["oid"]}"', "Accept-Ranges": "bytes"}
            if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
                start, stop = int(wanted[1]), int(wanted[2] or len(content)) + 1
                headers["Content-Range"] = f"bytes {start}-{min(stop, len(content)) - 1}/{len(content)}"
                content, status = content[start:stop], 206
            self._send(content, status, headers)

        def _json(self, value: object, status: int = 200, code: str = "") -> None:
            headers = {"Content-Type": "application/json"} | ({"X-Error-Code": code} if status >= 400 else {})
            self._send(json.dumps(value).encode(), status, headers)

        def _send(self, content: bytes, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    return Handler


@contextmanager
def serving(hub: Hub) -> Iterator[str]:
    """The address of the hub, while it is there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
