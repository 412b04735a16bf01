"""run_glue.py of the transformers examples on a tiny BERT made here: epochs with evaluation, and the search
for the last checkpoint in its output folder that the examples do by themselves."""

import argparse
import os

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

parser = argparse.ArgumentParser()
parser.add_argument("--output_dir", required=True)
parser.add_argument("--num_train_epochs", type=float, default=4)
parser.add_argument("--examples", type=int, default=1600)
options = parser.parse_args()
torch.manual_seed(0)
torch.set_num_threads(1)


class Sentences(torch.utils.data.Dataset):
    def __init__(self, count: int) -> None:
        self.words = torch.randint(3, 200, (count, 24))

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, index: int):
        words = self.words[index]
        return {"input_ids": words, "attention_mask": torch.ones_like(words), "labels": int(words.sum()) % 2}


sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
config = BertConfig(vocab_size=200, max_position_embeddings=32, num_labels=2, **sizes)
arguments = TrainingArguments(
    options.output_dir,
    num_train_epochs=options.num_train_epochs,
    per_device_train_batch_size=16,
    learning_rate=5e-4,
    logging_steps=20,
    eval_strategy="epoch",
    save_strategy="epoch",
    save_total_limit=2,
    report_to=[],
    use_cpu=True,
)
trainer = Trainer(
    BertForSequenceClassification(config),
    arguments,
    train_dataset=Sentences(options.examples),
    eval_dataset=Sentences(160),
    compute_metrics=lambda said: {"accuracy": float((said.predictions.argmax(1) == said.label_ids).mean())},
)
last_checkpoint = get_last_checkpoint(options.output_dir) if os.path.isdir(options.output_dir) else None
if last_checkpoint is not None:
    print(f"Checkpoint detected, resuming training at {last_checkpoint}.")
result = trainer.train(resume_from_checkpoint=last_checkpoint)
trainer.save_model()
trainer.log_metrics("train", result.metrics)
trainer.log_metrics("eval", trainer.evaluate())
