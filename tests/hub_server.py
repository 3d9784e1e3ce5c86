"""A small Hugging Face Hub on loopback: as much of its protocol as the real client uses for models."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin", ".pt")  # what .gitattributes of a new repository sends to large-file storage


@dataclass
class Repo:
    """A repository: its commits, oldest first, each with all files."""

    private: bool = False
    gated: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def commit(self, files: dict[str, bytes | None], message: str = "") -> str:
        """Add a commit that changes ``files`` (None removes one); return its id."""
        before = self.commits[-1][1] if self.commits else {}
        after = {name: data for name, data in {**before, **files}.items() if data is not None}
        oid = hashlib.sha1(f"{len(self.commits)}{sorted(after)}".encode() + b"".join(after.values())).hexdigest()
        self.commits.append((oid, after))
        self.messages.append(message)
        return oid

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit that a revision names."""
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)


@dataclass
class Hub:
    """What the hub holds, how it misbehaves, and what it was asked."""

    repos: dict[str, Repo] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=lambda: {"hf_write": "write", "hf_read": "read"})
    faults: dict[str, list[tuple]] = field(default_factory=dict)
    """By the method and the end of a path, such as ``GET model.safetensors``: what happens instead, once each:
    ``("status", 500)``, ``("cut", 100)`` bytes, ``("flip",)`` one byte, ``("mutate", function)`` of the
    bytes, ``("headers", {})`` beside."""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    cdn: str = ""

    def add(self, name: str, files: dict[str, bytes], **settings: bool) -> str:
        """Make a repository with one commit; return the commit's id."""
        self.repos[name] = Repo(**settings)
        return self.repos[name].commit({".gitattributes": b"*.safetensors filter=lfs", **files})

    def requests(self, method: str, end: str) -> list[dict[str, str]]:
        """The headers of all requests of a method for paths with this end."""
        return [headers for verb, path, headers in self.asked if verb == method and path.endswith(end)]

    def fault(self, method: str, path: str) -> tuple | None:
        """What goes wrong this time."""
        for key, left in self.faults.items():
            verb, end = key.split(" ")
            if verb == method and path.endswith(end) and left:
                return left.pop(0)
        return None


class Handler(BaseHTTPRequestHandler):
    """One request; ``hub`` is set on a subclass."""

    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        """Say nothing."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self._begin()
        if path is None:
            return
        if path.startswith("/cdn/"):
            name = next(name for name in self.hub.stored if path.startswith(f"/cdn/{name}/"))
            self._file(self.hub.stored[name], {"ETag": '"of-the-store"'})
        elif path.startswith("/api/models/"):
            self._api(path.removeprefix("/api/models/"))
        elif "/resolve/" in path:
            self._resolve(path)
        else:
            self._json(404, {"error": "no such page"})

    def do_POST(self):
        path = self._begin()
        if path is None:
            return
        body = self.body
        if path == "/api/validate-yaml":
            good = json.loads(body)["content"].startswith("---\n")
            self._json(200 if good else 400, {"errors": [] if good else [{"message": "no metadata"}], "warnings": []})
        elif self._role() != "write":
            self._json(403 if self._role() else 401, {"error": "You don't have the rights"})
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif "/preupload/" in path:
            self._preupload(path, json.loads(body))
        elif path.endswith("/info/lfs/objects/batch"):
            self._batch(json.loads(body))
        elif path.startswith("/verify/"):
            self._json(200 if json.loads(body)["oid"] in self.hub.stored else 404, {})
        elif "/commit/" in path:
            self._commit(path, body)

    def do_PUT(self):
        path = self._begin()
        if path is None:
            return
        oid = path.rpartition("/")[2]
        good = hashlib.sha256(self.body).hexdigest() == oid
        if good:
            self.hub.stored[oid] = self.body
        self._json(200 if good else 400, {})

    def _begin(self) -> str | None:
        """Note the request; None where it went wrong on purpose."""
        path = unquote(urlsplit(self.path).path)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.asked.append((self.command, path, {name.lower(): value for name, value in self.headers.items()}))
        self.fault = self.hub.fault(self.command, path)
        if self.fault and self.fault[0] == "status":
            self._json(self.fault[1], {"error": "on purpose"})
            return None
        return path

    def _role(self) -> str | None:
        return self.hub.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))

    def _repo(self, name: str) -> Repo | None:
        """The repository, or None after an answer that says why not, in the hub's own words."""
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and self._role() is None):
            if self._role() is None:
                self._json(401, {"error": "Invalid username or password."})
            else:
                self._json(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return None
        if repo.gated and self._role() != "write":
            self._json(403, {"error": "restricted"}, {"X-Error-Code": "GatedRepo"})
            return None
        return repo

    def _resolve(self, path: str) -> None:
        name, _, rest = path.lstrip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        if name in self.hub.moved:
            self._answer(307, b"", {"Location": f"/{self.hub.moved[name]}/resolve/{rest}"})
            return
        if (repo := self._repo(name)) is None:
            return
        if (commit := repo.at(revision)) is None:
            self._json(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
            return
        oid, files = commit
        headers = {"X-Repo-Commit": oid}
        if file not in files:
            self._json(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound", **headers})
            return
        data = files[file]
        if not file.endswith(LARGE):
            self._file(data, {"ETag": f'"{_git_hash(data)}"', **headers})
            return
        sha256 = hashlib.sha256(data).hexdigest()
        self.hub.stored[sha256] = data
        headers |= {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(data))}
        self._answer(302, b"", {"Location": f"{self.hub.cdn}/cdn/{sha256}/{file}", **headers})

    def _file(self, data: bytes, headers: dict[str, str]) -> None:
        """Answer with a file, or the range of it that was asked for, or less."""
        kind, *argument = self.fault or (None,)
        if kind == "flip":
            data = bytes([data[0] ^ 1]) + data[1:]
        elif kind == "mutate":
            data = argument[0](data)
        start = 0
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            headers = {**headers, "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        body = data[start:]
        self._answer(206 if start else 200, body, headers, send=argument[0] if kind == "cut" else len(body))

    def _api(self, path: str) -> None:
        parts = path.split("/")
        name, rest = "/".join(parts[:2]), parts[2:]
        if (repo := self._repo(name)) is None:
            return
        oid, files = repo.at(rest[1] if len(rest) > 1 else "main")
        if rest[:1] == ["tree"]:
            rows = [
                {"type": "file", "path": file, "size": len(data), "oid": _git_hash(data)}
                for file, data in files.items()
            ]
            self._json(200, rows)
        else:
            siblings = [{"rfilename": file} for file in files]
            self._json(200, {"id": name, "sha": oid, "private": repo.private, "siblings": siblings, "tags": []})

    def _create(self, wanted: dict) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        self.hub.add(name, {}, private=wanted.get("visibility") == "private")
        self._json(200, {"url": f"{self.hub.url}/{name}"})

    def _preupload(self, path: str, wanted: dict) -> None:
        repo = self.hub.repos[path.removeprefix("/api/models/").partition("/preupload/")[0]]
        answers = []
        for file in wanted["files"]:
            large, there = file["path"].endswith(LARGE), repo.at("main")[1].get(file["path"])
            oid = there and (hashlib.sha256(there).hexdigest() if large else _git_hash(there))
            mode = "lfs" if large else "regular"
            answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._json(200, {"files": answers})

    def _batch(self, wanted: dict) -> None:
        answers = []
        for item in wanted["objects"]:
            answer = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.hub.stored:
                hrefs = {
                    "upload": f"{self.hub.cdn}/store/{item['oid']}",
                    "verify": f"{self.hub.url}/verify/{item['oid']}",
                }
                answer["actions"] = {kind: {"href": href} for kind, href in hrefs.items()}
            answers.append(answer)
        self._json(200, {"transfer": "basic", "objects": answers})

    def _commit(self, path: str, body: bytes) -> None:
        name = path.removeprefix("/api/models/").partition("/commit/")[0]
        repo = self.hub.repos[name]
        lines = [json.loads(line) for line in body.splitlines()]
        header = lines.pop(0)["value"]
        if header.get("parentCommit") not in (None, repo.commits[-1][0]):
            self._json(412, {"error": "A commit has happened since. Please refresh and try again."})
            return
        files = {}
        for line in lines:
            value = line["value"]
            data = self.hub.stored[value["oid"]] if line["key"] == "lfsFile" else base64.b64decode(value["content"])
            files[value["path"]] = data
        oid = repo.commit(files, header["summary"])
        self._json(200, {"commitUrl": f"{self.hub.url}/{name}/commit/{oid}", "commitOid": oid})

    def _json(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        said = {"X-Error-Message": content["error"]} if isinstance(content, dict) and "error" in content else {}
        self._answer(
            status, json.dumps(content).encode(), {"Content-Type": "application/json", **said, **(headers or {})}
        )

    def _answer(self, status: int, body: bytes, headers: dict[str, str], send: int | None = None) -> None:
        if self.fault and self.fault[0] == "headers":
            headers = {**headers, **self.fault[1]}
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:send])
            self.close_connection = send is not None and send < len(body)


def _git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Servers:
    """The hub and, on another port, the store that it redirects to; a context manager."""

    def __enter__(self) -> Servers:
        self._handler = type("HubHandler", (Handler,), {})
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), self._handler) for _ in range(2)]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def empty_hub(self) -> Hub:
        """A hub that holds nothing, in the place of the one before."""
        names = ("127.0.0.1", "localhost")  # two, because the client follows redirects on one host otherwise
        ports = (server.server_port for server in self._servers)
        url, cdn = (f"http://{name}:{port}" for name, port in zip(names, ports, strict=True))
        self._handler.hub = Hub(url=url, cdn=cdn)
        return self._handler.hub

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
