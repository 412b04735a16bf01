"""multigpu_torchrun.py of PyTorch's DDP tutorial series, with gloo on CPUs: under torchrun, it resumes from snapshot.pt
by itself."""

import argparse
import os

import torch
import torch.nn.functional as F
from torch.distributed import destroy_process_group, init_process_group
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

parser = argparse.ArgumentParser(description="simple distributed training job")
parser.add_argument("total_epochs", type=int, help="Total epochs to train the model")
parser.add_argument("save_every", type=int, help="How often to save a snapshot")
parser.add_argument("--batch_size", default=32, type=int)
options = parser.parse_args()
torch.set_num_threads(1)


class Trainer:
    def __init__(self, model, train_data, optimizer, save_every: int, snapshot_path: str) -> None:
        self.gpu_id = int(os.environ["LOCAL_RANK"])
        self.model, self.train_data, self.optimizer = model, train_data, optimizer
        self.save_every, self.epochs_run, self.snapshot_path = save_every, 0, snapshot_path
        if os.path.exists(snapshot_path):
            print("Loading snapshot")
            snapshot = torch.load(snapshot_path)
            self.model.load_state_dict(snapshot["MODEL_STATE"])
            self.epochs_run = snapshot["EPOCHS_RUN"]
            print(f"Resuming training from snapshot at Epoch {self.epochs_run}")
        self.model = DDP(self.model)

    def _run_epoch(self, epoch: int) -> None:
        b_sz = len(next(iter(self.train_data))[0])
        print(f"[GPU{self.gpu_id}] Epoch {epoch} | Batchsize: {b_sz} | Steps: {len(self.train_data)}")
        self.train_data.sampler.set_epoch(epoch)
        for source, targets in self.train_data:
            self.optimizer.zero_grad()
            F.mse_loss(self.model(source), targets).backward()
            self.optimizer.step()

    def train(self, max_epochs: int) -> None:
        for epoch in range(self.epochs_run, max_epochs):
            self._run_epoch(epoch)
            if self.gpu_id == 0 and epoch % self.save_every == 0:
                snapshot = {"MODEL_STATE": self.model.module.state_dict(), "EPOCHS_RUN": epoch}
                torch.save(snapshot, self.snapshot_path)
                print(f"Epoch {epoch} | Training snapshot saved at {self.snapshot_path}")


init_process_group(backend="gloo")
torch.manual_seed(0)
data = torch.utils.data.TensorDataset(torch.rand(2048, 20), torch.rand(2048, 1))
net = torch.nn.Linear(20, 1)
loader = DataLoader(data, options.batch_size, shuffle=False, sampler=DistributedSampler(data))
sgd = torch.optim.SGD(net.parameters(), lr=1e-3)
Trainer(net, loader, sgd, options.save_every, "snapshot.pt").train(options.total_epochs)
torch.distributed.barrier()  # gloo aborts now and then where one rank leaves before the other
destroy_process_group()
