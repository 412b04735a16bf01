"""TRL's sft.py on a tiny GPT-2 and a tokenizer made here."""

import argparse

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

parser = argparse.ArgumentParser()
parser.add_argument("--output_dir", required=True)
parser.add_argument("--max_steps", type=int, default=120)
parser.add_argument("--save_steps", type=int, default=30)
parser.add_argument("--resume_from_checkpoint")
options = parser.parse_args()
torch.manual_seed(0)
torch.set_num_threads(1)
words = [f"w{number}" for number in range(200)]
vocabulary = {word: number for number, word in enumerate(["[UNK]", "[PAD]", "[EOS]", *words])}
inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
inner.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=inner, unk_token="[UNK]", pad_token="[PAD]", eos_token="[EOS]"
)
choose = torch.Generator().manual_seed(0)
rows = [" ".join(words[i] for i in torch.randint(0, 200, (24,), generator=choose)) for _ in range(400)]
special = {"bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1}
sizes = {"vocab_size": len(vocabulary), "n_positions": 64, "n_embd": 64, "n_layer": 2, "n_head": 4}
model = GPT2LMHeadModel(GPT2Config(**sizes, **special))
arguments = SFTConfig(
    options.output_dir,
    max_steps=options.max_steps,
    per_device_train_batch_size=8,
    logging_steps=5,
    save_steps=options.save_steps,
    max_length=32,
    report_to=[],
    use_cpu=True,
    bf16=False,
)
trainer = SFTTrainer(
    model, arguments, train_dataset=Dataset.from_dict({"text": rows}), processing_class=tokenizer
)
trainer.train(resume_from_checkpoint=options.resume_from_checkpoint)
