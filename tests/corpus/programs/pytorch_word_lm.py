"""PyTorch's examples/word_language_model/main.py: its printed lines, a tiny recurrent model. It cannot resume."""

import argparse
import math
import time

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--batches", type=int, default=200)
parser.add_argument("--log-interval", type=int, default=20)
parser.add_argument("--save", default="", help="path to save the final model")
options = parser.parse_args()
torch.manual_seed(1111)
torch.set_num_threads(1)
embedding, rnn, decoder = torch.nn.Embedding(200, 64), torch.nn.LSTM(64, 64), torch.nn.Linear(64, 200)
parameters = [*embedding.parameters(), *rnn.parameters(), *decoder.parameters()]


def loss_of():
    words = torch.randint(0, 200, (17, 20))
    return torch.nn.functional.cross_entropy(
        decoder(rnn(embedding(words[:-1]))[0]).view(-1, 200), words[1:].view(-1)
    )


best_val_loss = None
for epoch in range(1, options.epochs + 1):
    epoch_start_time = start_time = time.time()
    total_loss = 0.0
    for batch in range(options.batches):
        loss = loss_of()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 0.25)
        for p in parameters:
            p.data.add_(p.grad, alpha=-1.0)
            p.grad = None
        total_loss += loss.item()
        if batch % options.log_interval == 0 and batch > 0:
            cur_loss = total_loss / options.log_interval
            elapsed = time.time() - start_time
            print(
                f"| epoch {epoch:3d} | {batch:5d}/{options.batches:5d} batches | lr {20:02.2f} | "
                f"ms/batch {elapsed * 1000 / options.log_interval:5.2f} | "
                f"loss {cur_loss:5.2f} | ppl {math.exp(cur_loss):8.2f}"
            )
            total_loss, start_time = 0.0, time.time()
    with torch.no_grad():
        val_loss = sum(loss_of().item() for _ in range(20)) / 20
    print("-" * 89)
    print(
        f"| end of epoch {epoch:3d} | time: {time.time() - epoch_start_time:5.2f}s | "
        f"valid loss {val_loss:5.2f} | valid ppl {math.exp(val_loss):8.2f}"
    )
    print("-" * 89)
    if options.save and (best_val_loss is None or val_loss < best_val_loss):
        torch.save([embedding, rnn, decoder], options.save)
        best_val_loss = val_loss
print("=" * 89)
print(f"| End of training | test loss {val_loss:5.2f} | test ppl {math.exp(val_loss):8.2f}")
print("=" * 89)
