"""A websocket client in place of the page, and a server of a dot world."""

import asyncio
import contextlib
import json
import time

from aiohttp import WSMsgType
from aiohttp.test_utils import TestClient, TestServer
from dot_world import DotWorld

from worldling.serve.app import build_app
from worldling.serve.catalogue import Catalogue
from worldling.serve.hosted import HostedWorld
from worldling.serve.messages import unpack_frame
from worldling.serve.server import PlayServer


class Page:
    """The other end of the websocket. acks: whether frames are acknowledged as they come."""

    def __init__(self, ws, server):
        self.ws, self.server, self.acks, self.welcome, self.began = ws, server, True, None, time.monotonic()

    @property
    def world(self):
        return self.server.catalogue.host(None).world

    async def send(self, kind, **fields):
        await self.ws.send_json({"type": kind, **fields})

    async def next(self, wanted):
        """The next message for which `wanted` holds: a frame as (header, dream, real), or a json object."""
        return await asyncio.wait_for(self._next(wanted), 30)

    async def _next(self, wanted):
        while True:
            message = await self.ws.receive()
            assert message.type in (WSMsgType.BINARY, WSMsgType.TEXT), f"the socket ended: {message}"
            if message.type is WSMsgType.BINARY:
                got = unpack_frame(message.data)
                if self.acks:
                    await self.send("ack", seq=got[0].seq)
            else:
                got = json.loads(message.data)
            if wanted(got):
                return got

    async def frame(self, index=None, flags=0):
        """The next frame, or frame `index`."""

        def wanted(got):
            return isinstance(got, tuple) and got[0].flags == flags and index in (None, got[0].index)

        return await self.next(wanted)

    async def after(self, index):
        """The next frame past `index`, for when the clock runs and frames may be dropped."""
        return await self.next(lambda m: isinstance(m, tuple) and not m[0].flags and m[0].index > index)

    async def including(self, input_id):
        """The next frame that includes this input."""
        return await self.next(lambda got: isinstance(got, tuple) and got[0].input_id == input_id)

    async def text(self, kind, wanted=lambda m: True):
        return await self.next(lambda m: isinstance(m, dict) and m["type"] == kind and wanted(m))

    async def paused(self):
        await self.send("pause", on=True)
        return await self.text("status", lambda m: m["paused"])


@contextlib.asynccontextmanager
async def page_of(world, fps=200.0, real=None, alarm=None):
    server = PlayServer(Catalogue.of(HostedWorld("dots", world, fps, real, alarm=alarm)))
    async with TestClient(TestServer(build_app(server))) as client, client.ws_connect("/ws") as ws:
        page = Page(ws, server)
        page.client = client
        page.welcome = await page.text("welcome")
        yield page


def drive(work, **options):
    """Run `work(page)` against a fresh player."""
    world = options.pop("world", None) or DotWorld()

    async def main():
        async with page_of(world, **options) as page:
            await work(page)

    asyncio.run(main())
