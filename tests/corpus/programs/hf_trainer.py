"""The Hugging Face Trainer on a tiny GPT-2 made here: what `run_clm.py` of the transformers examples does; with
`--lora` as the examples of PEFT do."""

import argparse

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, logging

parser = argparse.ArgumentParser()
parser.add_argument("--output", required=True)
parser.add_argument("--steps", type=int, default=60)
parser.add_argument("--epochs", type=float, default=0)
parser.add_argument("--examples", type=int, default=400)
parser.add_argument("--layers", type=int, default=2)
parser.add_argument("--width", type=int, default=64)
parser.add_argument("--length", type=int, default=32)
parser.add_argument("--eval-every", type=int, default=0)
parser.add_argument("--save-every", type=int, default=0)
parser.add_argument("--log-every", type=int, default=10)
parser.add_argument("--accumulate", type=int, default=1)
parser.add_argument("--rate", type=float, default=1e-3)
parser.add_argument("--no-tqdm", action="store_true")
parser.add_argument("--info", action="store_true")
parser.add_argument("--reload", action="store_true", help="save and load the model in shards first")
parser.add_argument("--resume_from_checkpoint")
parser.add_argument("--lora", action="store_true", help="train an adapter of PEFT only")
options = parser.parse_args()
if options.info:
    logging.set_verbosity_info()


class Text(torch.utils.data.Dataset):
    def __init__(self, count: int) -> None:
        self.rows = torch.randint(0, 256, (count, options.length))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int):
        return {"input_ids": self.rows[index], "labels": self.rows[index]}


torch.manual_seed(0)
torch.set_num_threads(1)
config = GPT2Config(
    vocab_size=256, n_positions=options.length, n_embd=options.width, n_layer=options.layers, n_head=4
)
model = GPT2LMHeadModel(config)
if options.reload:
    model.save_pretrained(options.output + "/base", max_shard_size="100KB")
    model = GPT2LMHeadModel.from_pretrained(options.output + "/base")
if options.lora:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(
        model, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["c_attn"], fan_in_fan_out=True)
    )
    model.print_trainable_parameters()
arguments = TrainingArguments(
    options.output,
    max_steps=-1 if options.epochs else options.steps,
    num_train_epochs=options.epochs or 1,
    per_device_train_batch_size=8,
    gradient_accumulation_steps=options.accumulate,
    learning_rate=options.rate,
    logging_steps=options.log_every,
    eval_strategy="steps" if options.eval_every else "no",
    eval_steps=options.eval_every or None,
    save_strategy="steps" if options.save_every else "no",
    save_steps=options.save_every or 500,
    save_total_limit=2,
    disable_tqdm=options.no_tqdm,
    report_to=[],
    use_cpu=True,
)
trainer = Trainer(model, arguments, train_dataset=Text(options.examples), eval_dataset=Text(160))
trainer.train(resume_from_checkpoint=options.resume_from_checkpoint)
