# %% [markdown]
# # An MCP client
#
# What an agent does with a memory. Run `python_client.py` first. In a notebook, write `await main()` in the last cell.

# %%
import asyncio
import os
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

URL = os.environ.get("HYPNOGRAM_URL", "http://127.0.0.1:8000")
MEMORY = os.environ.get("HYPNOGRAM_MEMORY", "demo")
TOKEN = os.environ.get("HYPNOGRAM_TOKEN", "")


# %%
async def main() -> None:
    headers = {"authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=600) as http,
        Client(streamable_http_client(f"{URL}/mcp", http_client=http)) as agent,
    ):

        async def call(tool: str, **arguments: Any) -> dict[str, Any]:
            result = await agent.call_tool(tool, {"memory": MEMORY, **arguments})
            if result.is_error:
                raise RuntimeError(result.content)
            return dict(result.structured_content or {})

        print("tools:", [tool.name for tool in (await agent.list_tools()).tools])

        # Recorded at once, and written into the weights later: `wait_seconds` would wait for that.
        told = await call("tell", subject="Bo Lindt", relation="works as", object="a baker")
        print("told:", told["facts"][0]["status"])

        print("recalled:", (await call("recall", question="Where does Aria Voss live?"))["answer"])

        facts = (await call("facts", search="Aria Voss"))["facts"]
        why = await call("why", fact=facts[0]["fact"])
        print("why:", why["model"], why["weights_digest"], [step["summary"] for step in why["events"]])


# %%
if __name__ == "__main__":
    asyncio.run(main())
