# %% [markdown]
# # The Python client
#
# Tells a memory a fact, waits until it is in the weights, and asks. Needs `hypnogram-client`.

# %%
import os

from hypnogram.client import CallFailed, Client, new_fact

ADDRESS = os.environ.get("HYPNOGRAM_ADDRESS", "127.0.0.1:50051")
MEMORY = os.environ.get("HYPNOGRAM_MEMORY", "demo")
client = Client(ADDRESS, token=os.environ.get("HYPNOGRAM_TOKEN", ""))

# %% A memory is created on the server's own base model, unless another one is named.
if MEMORY not in [summary.memory for summary in client.memories()]:
    client.create_memory(MEMORY)

# %% Before it is told, it cannot know.
QUESTION = "Where does Aria Voss live?"
before = client.memory(MEMORY).version
print("before:", "".join(piece.text for piece in client.chat(MEMORY, QUESTION)))

# %% `wait` returns once the weights have the fact, or it cannot be written. The same fact is added once.
added = client.add_facts(MEMORY, [new_fact("Aria Voss", "lives in", "Lisbon")], wait=True)
fact = added.results[0].fact
print("after:", "".join(piece.text for piece in client.chat(MEMORY, QUESTION)))

# %% Every event of its life is in the log.
for entry in client.lineage(MEMORY, fact.fact).entries:
    print(f"version {entry.event.version}: {entry.summary}")

# %% A memory answers as it was at any version.
print("as it was:", "".join(piece.text for piece in client.chat(MEMORY, QUESTION, at_version=before)))

# %% Errors have a code, a reason for programs, and a message that says what to do.
try:
    client.memory("nosuch")
except CallFailed as error:
    print(error.code, error.reason, error)
client.close()
