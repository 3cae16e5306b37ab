# %% [markdown]
# # LangChain
#
# A memory in a chain, by LangChain's client of OpenAI's API. Run `python_client.py` first.

# %%
import os

from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

URL = os.environ.get("HYPNOGRAM_URL", "http://127.0.0.1:8000")
MEMORY = os.environ.get("HYPNOGRAM_MEMORY", "demo")
model = ChatOpenAI(
    base_url=f"{URL}/v1", api_key=SecretStr(os.environ.get("HYPNOGRAM_TOKEN", "") or "none"), model=MEMORY
)

# %% The memory knows the fact by its weights: nothing about Aria Voss is in the prompt.
chain = ChatPromptTemplate.from_messages([("user", "Where does {person} live?")]) | model
answer = chain.invoke({"person": "Aria Voss"})
print(answer.content)
print(answer.response_metadata["model_name"], answer.response_metadata["system_fingerprint"])

# %% Streamed.
for chunk in chain.stream({"person": "Aria Voss"}):
    print(chunk.content, end="")
print()
