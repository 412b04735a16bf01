"""PyTorch's examples/mnist/main.py, on numbers made here. It cannot resume."""

import argparse

import torch
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--examples", type=int, default=12000)
parser.add_argument("--width", type=int, default=64)
parser.add_argument("--save-model", action="store_true")
options = parser.parse_args()
torch.manual_seed(1)
torch.set_num_threads(1)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 8, 3, 1)
        self.fc1 = torch.nn.Linear(8 * 13 * 13, options.width)
        self.fc2 = torch.nn.Linear(options.width, 10)

    def forward(self, x):
        x = torch.flatten(F.max_pool2d(F.relu(self.conv1(x)), 2), 1)
        return F.log_softmax(self.fc2(F.relu(self.fc1(x))), dim=1)


def loader(count: int, size: int):
    data = torch.utils.data.TensorDataset(torch.randn(count, 1, 28, 28), torch.randint(0, 10, (count,)))
    return torch.utils.data.DataLoader(data, size)


train_loader, test_loader = loader(options.examples, 64), loader(2000, 1000)
model = Net()
optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
for epoch in range(1, options.epochs + 1):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        if batch_idx % 10 == 0:
            done, of = batch_idx * len(data), len(train_loader.dataset)
            part = 100.0 * batch_idx / len(train_loader)
            print(f"Train Epoch: {epoch} [{done}/{of} ({part:.0f}%)]\tLoss: {loss.item():.6f}")
    model.eval()
    test_loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in test_loader:
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            correct += output.argmax(dim=1).eq(target).sum().item()
    size = len(test_loader.dataset)
    accuracy = f"{correct}/{size} ({100.0 * correct / size:.0f}%)"
    print(f"\nTest set: Average loss: {test_loss / size:.4f}, Accuracy: {accuracy}\n")
if options.save_model:
    torch.save(model.state_dict(), "mnist_cnn.pt")
