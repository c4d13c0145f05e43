"""Headless browsers that open a page: Chromium by its DevTools protocol, Firefox by WebDriver BiDi."""

import asyncio
import contextlib
import json
import re
import shutil
import subprocess

import aiohttp

PROGRAMS = {
    "chromium": shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome"),
    "firefox": shutil.which("firefox") or shutil.which("firefox-esr"),
}


class Tab:
    """One tab. errors: what the page reported; requests: addresses that it asked for, `data:` and `blob:` left out."""

    def __init__(self, socket):
        self.socket, self.number, self.errors, self.requests = socket, 0, [], []

    async def call(self, method, **params):
        """Send a command and return its result; events that come first are noted."""
        self.number += 1
        number = self.number
        await self.socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = json.loads((await self.socket.receive()).data)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self.note(message.get("method"), message.get("params", {}))

    def note_request(self, address):
        if not address.startswith(("data:", "blob:", "about:")):
            self.requests.append(address)

    async def run(self, code):
        """Run the body of an async function in the page; returns its value, which must be json."""
        text = await self.evaluate(f"(async () => {{{code}}})().then((value) => JSON.stringify(value ?? null))")
        return json.loads(text)

    async def until(self, condition, seconds=60):
        """Wait until an expression is true in the page."""
        for _ in range(int(seconds / 0.1)):
            if await self.run(f"return Boolean({condition})"):
                return
            await asyncio.sleep(0.1)
        raise TimeoutError(f"not true within {seconds} s: {condition}; {self.errors}")


class ChromiumTab(Tab):
    async def open(self, address):
        for part in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{part}.enable")
        await self.call("Page.navigate", url=address)
        await self.until("document.readyState === 'complete'")

    def note(self, method, params):
        if method == "Runtime.exceptionThrown" or (
            method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning")
        ):
            self.errors.append(json.dumps(params)[:500])
        elif method == "Network.requestWillBeSent":
            self.note_request(params["request"]["url"])

    async def evaluate(self, expression):
        found = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, str(found["exceptionDetails"]["exception"].get("description"))[:300]
        return found["result"]["value"]


class FirefoxTab(Tab):
    async def open(self, address):
        await self.call("session.new", capabilities={})
        await self.call("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        self.context = (await self.call("browsingContext.getTree"))["contexts"][0]["context"]
        await self.call("browsingContext.navigate", context=self.context, url=address, wait="complete")

    def note(self, method, params):
        if method == "log.entryAdded" and params["level"] in ("error", "warn"):
            self.errors.append(str(params.get("text"))[:500])
        elif method == "network.beforeRequestSent":
            self.note_request(params["request"]["url"])

    async def evaluate(self, expression):
        target = {"context": self.context}
        found = await self.call("script.evaluate", expression=expression, target=target, awaitPromise=True)
        assert found["type"] == "success", str(found)[:600]
        return found["result"]["value"]


@contextlib.asynccontextmanager
async def open_tab(name, address, folder, size=(1100, 760)):
    """Open a page in a fresh browser, "chromium" or "firefox", whose profile lies in `folder`, a new one."""
    folder.mkdir()
    common = ["--remote-debugging-port=0", "about:blank"]
    if name == "chromium":
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder}"]
        options += [f"--window-size={size[0]},{size[1]}"]
    else:
        options = ["--headless", "--no-remote", "--profile", str(folder), f"--width={size[0]}", f"--height={size[1]}"]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen([PROGRAMS[name], *options, *common], stdout=said, stderr=said)
    try:
        async with aiohttp.ClientSession() as session:
            at = await _address(folder / "said", r"listening on (ws://\S+)")
            if name == "chromium":
                port = re.search(r":(\d+)/", at)[1]
                tabs = await (await session.get(f"http://127.0.0.1:{port}/json")).json()
                (at,) = (tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
            else:
                at += "/session"
            async with session.ws_connect(at, max_msg_size=0) as socket:
                tab = (ChromiumTab if name == "chromium" else FirefoxTab)(socket)
                await tab.open(address)
                yield tab
    finally:
        process.terminate()
        process.wait()


async def _address(file, pattern):
    for _ in range(600):
        if found := re.search(pattern, file.read_text(errors="replace")):
            return found[1]
        await asyncio.sleep(0.1)
    raise TimeoutError(f"the browser did not start within 60 s: {file.read_text(errors='replace')}")
