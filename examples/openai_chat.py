# %% [markdown]
# # The openai package
#
# A memory is a model of OpenAI's API. Run `python_client.py` first.

# %%
import os

import openai
from openai.types.chat import ChatCompletionUserMessageParam

URL = os.environ.get("HYPNOGRAM_URL", "http://127.0.0.1:8000")
MEMORY = os.environ.get("HYPNOGRAM_MEMORY", "demo")
client = openai.OpenAI(base_url=f"{URL}/v1", api_key=os.environ.get("HYPNOGRAM_TOKEN", "") or "none")

# %% Memories, their newest versions and their checkpoints are the models.
print([model.id for model in client.models.list()])

# %% `system_fingerprint` is the digest of the weights that answered, `model` the version: ask it again by that name.
question: ChatCompletionUserMessageParam = {"role": "user", "content": "Where does Aria Voss live?"}
answer = client.chat.completions.create(model=MEMORY, messages=[question])
print(answer.choices[0].message.content, "from", answer.model, answer.system_fingerprint)

# %% Streamed, with drawn tokens in place of the likeliest; the same seed draws the same ones.
stream = client.chat.completions.create(
    model=answer.model,
    messages=[question],
    stream=True,
    temperature=0.3,
    seed=7,
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="")
print()

# %% As it was at its first version.
then = client.chat.completions.create(model=f"{MEMORY}@1", messages=[question])
print("as it was:", then.choices[0].message.content)

# %% A model that does not exist is an error in OpenAI's form.
try:
    client.models.retrieve(f"{MEMORY}@nosuch")
except openai.NotFoundError as error:
    print(error.message)
