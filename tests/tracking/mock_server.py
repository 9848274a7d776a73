"""A W&B server for tests: what the client asks of one for runs, files, tables, artifacts and sweeps; no accounts."""

import gzip
import itertools
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

API_KEY = "0123456789" * 4
ENTITY = {"id": "entity", "name": "nobody"}


@dataclass
class Server:
    """What it was sent.

    Attributes:
        url: of the server.
        runs: what each run said of itself, by its id: groupName, jobType, displayName, tags, config, commit.
        history: the rows that each run has logged.
        exit_codes: of the runs that have ended.
        uploads: contents, by run id or artifact name and the file's name.
        artifacts: the type of each, by its name.
        jobs: of a sweep, still to be handed out to an agent.
        unknown: what was asked and not understood.
    """

    url: str = ""
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    exit_codes: dict[str, int] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    sweep: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Of a client that is to log here."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": API_KEY}

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """The data of a GraphQL answer."""
        try:
            return ANSWERS[operation](self, asked)
        except KeyError as error:
            self.unknown.append(f"{operation}: {error}")
            return {}

    def stream(self, run: str, sent: dict[str, Any]) -> None:
        """A piece of the files that grow during a run."""
        lines = sent.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
        self.history.setdefault(run, []).extend(map(json.loads, lines))
        if sent.get("complete"):
            self.exit_codes[run] = sent["exitcode"]


def _upsert_run(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    run = asked["name"] or asked["id"]
    known = server.runs.setdefault(run, {})
    known |= {name: value for name, value in asked.items() if value is not None}
    project = {"id": "project", "name": known.get("project", "none"), "entity": ENTITY}
    bucket = {"id": run, "name": run, "displayName": known.get("displayName"), "config": known.get("config", "{}")}
    bucket |= {"description": None, "sweepName": known.get("sweep"), "historyLineCount": 0, "project": project}
    return {"upsertBucket": {"bucket": bucket, "inserted": True}}


def _create_run_files(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    run = asked.get("runName") or asked["run"]
    files = [{"name": name, "uploadUrl": f"{server.url}/upload/{run}/{name}"} for name in asked["files"]]
    return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": files}}


def _create_artifact(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    name = asked["input"]["artifactCollectionName"]
    server.artifacts[name] = asked["input"]["artifactTypeName"]
    artifact = {"id": name, "state": "PENDING", "artifactSequence": {"id": name, "latestArtifact": None}}
    return {"createArtifact": {"artifact": artifact}}


def _create_manifest(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    manifest = {"id": asked["artifactID"], "file": _upload(server, asked["artifactID"], asked["name"])}
    return {"createArtifactManifest": {"artifactManifest": manifest}}


def _create_artifact_files(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    files = [_upload(server, file["artifactID"], file["name"]) for file in asked["input"]["artifactFiles"]]
    return {"createArtifactFiles": {"files": {"edges": [{"node": file} for file in files]}}}


def _upload(server: Server, artifact: str, name: str) -> dict[str, Any]:
    url = f"{server.url}/upload/{artifact}/{name}"
    place = {"id": name, "name": name, "displayName": name, "storagePath": name, "artifact": {"id": artifact}}
    return place | {"uploadUrl": url, "uploadHeaders": [], "uploadMultipartUrls": None}


def _upsert_sweep(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    server.sweep = asked["config"]
    config = yaml.safe_load(server.sweep)
    values = [given["values"] for given in config["parameters"].values()]
    for number, choice in enumerate(itertools.product(*values)):
        arguments = {name: {"value": value} for name, value in zip(config["parameters"], choice, strict=True)}
        server.jobs.append({"type": "run", "run_id": f"sweep-run-{number}", "program": None, "args": arguments})
    project = {"id": "project", "name": asked["projectName"], "entity": ENTITY}
    return {"upsertSweep": {"sweep": {"name": "sweep", "project": project}, "configValidationWarnings": []}}


def _heartbeat(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    busy = json.loads(asked.get("runState") or "{}")
    commands = [] if busy else [server.jobs.pop(0) if server.jobs else {"type": "exit"}]
    return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(commands)}}


def _sweep(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    sweep = {"id": "sweep", "name": "sweep", "config": server.sweep, "state": "RUNNING", "runs": {"edges": []}}
    return {"project": {"sweep": sweep}}


VIEWER = {"id": "user", "entity": "nobody", "username": "nobody", "flags": "{}", "teams": {"edges": []}}
ANSWERS: dict[str, Callable[[Server, dict[str, Any]], dict[str, Any]]] = {
    "UpsertBucket": _upsert_run,
    "RunResumeStatus": lambda server, asked: {"model": None},
    "CreateRunFiles": _create_run_files,
    "CreateArtifact": _create_artifact,
    "CreateArtifactManifest": _create_manifest,
    "CreateArtifactFiles": _create_artifact_files,
    "CommitArtifact": lambda server, asked: {"commitArtifact": {"artifact": {"id": asked["artifactID"], "digest": ""}}},
    "ArtifactType": lambda server, asked: {"project": {"artifact": None}},
    "OrganizationCoreWeaveOrganizationID": lambda server, asked: {"entity": None},
    "UpsertSweep": _upsert_sweep,
    "SweepWithRuns": _sweep,
    "CreateAgent": lambda server, asked: {"createAgent": {"agent": {"id": "agent"}}},
    "Heartbeat": _heartbeat,
    "Viewer": lambda server, asked: {"viewer": VIEWER},
    "ServerFeaturesQuery": lambda server, asked: {"serverInfo": {"features": []}},
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    recorded: Server

    def log_message(self, *arguments: Any) -> None:
        """Nothing: pytest shows what is printed."""

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _reply(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        self.recorded.uploads[self.path.removeprefix("/upload/")] = self._body()
        self._reply({})

    def do_POST(self) -> None:
        body = self._body()
        if self.path.endswith("/file_stream"):
            self.recorded.stream(self.path.split("/")[-2], json.loads(body))
            return self._reply({"exitcode": None, "limits": {}})
        if not self.path.endswith("/graphql"):
            return self._reply({})  # the client's own telemetry
        sent = json.loads(body)
        named = re.search(r"(?:query|mutation)\s+(\w+)", sent["query"])
        operation = sent.get("operationName") or (named[1] if named else "")
        return self._reply({"data": self.recorded.answer(operation, sent.get("variables") or {})})


class _Listening(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has ended resets its connections."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def wandb_server() -> Iterator[Server]:
    """A server on a free port of this machine."""
    recorded = Server()
    handler = type("Handler", (_Handler,), {"recorded": recorded})
    with _Listening(("127.0.0.1", 0), handler) as listening:
        recorded.url = f"http://127.0.0.1:{listening.server_address[1]}"
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield recorded
        listening.shutdown()
