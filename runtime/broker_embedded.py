"""The embedded broker as a process: `python -m runtime.broker_embedded PORT`. Loopback only; right for a demonstration."""

import asyncio
import os
import sys

from amqtt.broker import Broker


async def main(port: int) -> None:
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": 100}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
            },
        }
    )
    await broker.start()
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(0.5)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
