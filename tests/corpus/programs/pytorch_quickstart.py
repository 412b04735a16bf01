"""PyTorch's quickstart tutorial, on numbers made here: two functions, and a line each hundred batches. It saves its
weights once, at the end, and cannot resume."""

import argparse

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--examples", type=int, default=30000)
options = parser.parse_args()
torch.manual_seed(1)
torch.set_num_threads(1)


class NeuralNetwork(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.flatten = torch.nn.Flatten()
        self.stack = torch.nn.Sequential(
            torch.nn.Linear(28 * 28, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
        )

    def forward(self, x):
        return self.stack(self.flatten(x))


def loader(count: int):
    data = torch.utils.data.TensorDataset(torch.randn(count, 1, 28, 28), torch.randint(0, 10, (count,)))
    return torch.utils.data.DataLoader(data, batch_size=64)


def train(batches, model, loss_fn, optimizer) -> None:
    size = len(batches.dataset)
    model.train()
    for batch, (x, y) in enumerate(batches):
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if batch % 100 == 0:
            print(f"loss: {loss.item():>7f}  [{(batch + 1) * len(x):>5d}/{size:>5d}]")


def test(batches, model, loss_fn) -> None:
    model.eval()
    loss, correct = 0.0, 0.0
    with torch.no_grad():
        for x, y in batches:
            predicted = model(x)
            loss += loss_fn(predicted, y).item() / len(batches)
            correct += (predicted.argmax(1) == y).sum().item() / len(batches.dataset)
    print(f"Test Error: \n Accuracy: {100 * correct:>0.1f}%, Avg loss: {loss:>8f} \n")


train_dataloader, test_dataloader = loader(options.examples), loader(2000)
model = NeuralNetwork()
loss_fn = torch.nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
for epoch in range(options.epochs):
    print(f"Epoch {epoch + 1}\n-------------------------------")
    train(train_dataloader, model, loss_fn, optimizer)
    test(test_dataloader, model, loss_fn)
print("Done!")
torch.save(model.state_dict(), "model.pth")
