"""A reader of exports that knows nothing of this project: `python -I stock.py TASK.json`; stock libraries alone.

The task: `base` and `adapter`, or `base` alone; `dtype`; `raw`, a list of texts; `chat`, a list of questions; `reply`,
where the answers go as JSON and the logits at the end of each prompt as safetensors.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(task: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    options = {"dtype": getattr(torch, task["dtype"])} if task["dtype"] else {}
    model = AutoModelForCausalLM.from_pretrained(task["base"], **options)
    if task["adapter"]:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, task["adapter"])
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(task["base"])
    prompts = [tokenizer(text, return_tensors="pt").input_ids for text in task["raw"]]
    for question in task["chat"]:
        messages = [{"role": "user", "content": question}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        prompts.append(tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids)
    said, logits = [], {}
    with torch.inference_mode():
        for number, ids in enumerate(prompts):
            mask = torch.ones_like(ids)
            new = model.generate(input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=12)
            said.append(tokenizer.decode(new[0, ids.shape[1] :], skip_special_tokens=True))
            logits[str(number)] = model(input_ids=ids).logits[0, -1].float()
    save_file(logits, task["reply"] + ".safetensors")
    ours = sorted({"core", "store", "service", "models"} & set(sys.modules))
    Path(task["reply"]).write_text(json.dumps({"said": said, "ours": ours, "dtype": str(model.dtype)}))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
