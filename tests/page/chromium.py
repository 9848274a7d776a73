"""A real browser for tests: Debian's Chromium without a window, led over a pipe by the DevTools protocol."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe")
SECONDS = 60


def install_missing() -> None:
    """Chromium, where root may install it."""
    if shutil.which("chromium"):
        return
    if os.getuid() or not shutil.which("apt-get"):
        raise RuntimeError("chromium is missing; on Debian let root run: apt-get install chromium")
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    options = ["-y", "-qq", "--no-install-recommends"]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "install", *options, "chromium"], check=True, env=quiet, stdout=subprocess.DEVNULL)


class Chromium:
    """One window.

    Args:
        commands, answers: descriptors that the browser reads from and writes to.

    Attributes:
        requested: addresses that the page has asked for since it was opened.
        complaints: what the page and the browser have said of it on the console.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self.commands, self.answers, self.numbers = commands, answers, itertools.count(1)
        self.buffer, self.session = b"", None
        self.events: list[str] = []
        self.requested: list[str] = []
        self.complaints: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def open(self, path: Path, width: int, scheme: str = "light", media: str = "screen") -> None:
        """Open a file in a window so many pixels wide, and wait until all of it is there."""
        self.requested, self.complaints, self.events = [], [], []
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", media=media, features=features)
        assert "errorText" not in self.send("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + SECONDS
        while "Page.loadEventFired" not in self.events:
            assert time.monotonic() < deadline, "the page does not load"
            self._read()
        self.evaluate("document.fonts.ready")

    def evaluate(self, expression: str) -> Any:
        """The value of some JavaScript in the page, once it is settled."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """The whole page, as PNG."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True, clip={**size, "scale": 1})
        path.write_bytes(base64.b64decode(shot["data"]))

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser and wait for its answer."""
        number = next(self.numbers)
        session = {} if self.session is None else {"sessionId": self.session}
        message = json.dumps({"id": number, "method": method, "params": parameters, **session})
        os.write(self.commands, message.encode() + b"\0")
        while (answer := self._read()).get("id") != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            received = os.read(self.answers, 2**16)
            assert received, "the browser is gone"
            self.buffer += received
        line, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, what: dict[str, Any]) -> None:
        self.events.append(event)
        match event:
            case "Network.requestWillBeSent":
                self.requested.append(what["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(what["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.complaints.append(str(what))


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """A browser with an empty profile; all that it writes is in this folder."""
    (to_read, commands), (answers, to_write) = os.pipe(), os.pipe()
    # It reads from descriptor 3 and writes to 4, which only a shell can promise.
    shell = f'exec chromium "$@" 3<&{to_read} 4>&{to_write} 2>chromium.log'
    browser = subprocess.Popen(
        ["bash", "-c", shell, "chromium", *ARGUMENTS, f"--user-data-dir={folder / 'profile'}"],
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
        pass_fds=(to_read, to_write),
    )
    os.close(to_read)
    os.close(to_write)
    try:
        yield Chromium(commands, answers)
    finally:
        os.close(commands)  # which ends it
        try:
            browser.wait(10)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()
        os.close(answers)
