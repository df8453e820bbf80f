"""A tiny GPT-2, made from a config and fine-tuned with LoRA by the Trainer of Transformers: the landscape under its path.

Nothing is downloaded. The recorder keeps the adapter's weights at every step and the frozen ones once; the checkpoints that the
Trainer saves give the same path.
"""

import peft
import torch
import transformers

import lossatlas as la

torch.manual_seed(0)
counting = (torch.arange(8)[None] + torch.randint(0, 12, (64, 1))) % 12  # sequences to learn: 3 4 5 6 …
examples = [{"input_ids": row, "labels": row} for row in counting]
sizes = {"vocab_size": 12, "n_positions": 8, "n_embd": 16, "n_layer": 1, "n_head": 2}
config = transformers.GPT2Config(**sizes, initializer_range=0.5, bos_token_id=0, eos_token_id=0)
adapter = peft.LoraConfig(r=4, target_modules=["c_attn", "c_fc", "c_proj"], fan_in_fan_out=True)
model = peft.get_peft_model(transformers.GPT2LMHeadModel(config), adapter)
arguments = transformers.TrainingArguments(
    "checkpoints", max_steps=40, per_device_train_batch_size=16, learning_rate=0.05, save_steps=10, logging_steps=1, use_cpu=True,
    report_to=[], disable_tqdm=True, seed=0,
)  # fmt: skip
recorder = la.TransformersRecorder("lora.zarr", label="LoRA", overwrite=True)
transformers.Trainer(model, arguments, train_dataset=examples, callbacks=[recorder]).train()

batch = {"input_ids": counting, "labels": counting}
found = la.landscape(model, None, [batch], recording="lora.zarr", resolution=(17, 13))
found.plot("lora.png")
found.view(export="lora.html")
print(found)

run, saved = la.Trajectory.open("lora.zarr"), la.Trajectory.from_checkpoints("checkpoints", module=model)
assert saved.steps.tolist() == [10, 20, 30, 40] and saved.layout == run.layout  # the adapter's weights alone
assert all(torch.equal(weight, run.params(-1)[name]) for name, weight in saved.params(-1).items())
(path,) = found.paths.values()
assert float(path.path_loss[-1]) < 0.8 * float(path.path_loss[0])
