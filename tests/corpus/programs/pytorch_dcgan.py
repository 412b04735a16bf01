"""PyTorch's examples/dcgan/main.py: its printed line per batch, two tiny models. `--netG`
and `--netD` give it weights to begin with; it counts from epoch 0 all the same."""

import argparse

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--batches", type=int, default=60)
parser.add_argument("--netG", default="")
parser.add_argument("--netD", default="")
parser.add_argument("--outf", default="")
options = parser.parse_args()
torch.manual_seed(0)
torch.set_num_threads(1)
net_g, net_d = torch.nn.Linear(16, 64), torch.nn.Linear(64, 1)
if options.netG:
    net_g.load_state_dict(torch.load(options.netG))
if options.netD:
    net_d.load_state_dict(torch.load(options.netD))
optimizers = torch.optim.Adam(net_g.parameters(), 2e-4), torch.optim.Adam(net_d.parameters(), 2e-4)
bce = torch.nn.functional.binary_cross_entropy_with_logits
for epoch in range(options.epochs):
    for i in range(options.batches):
        real, fake = torch.randn(64, 64) + 1, net_g(torch.randn(64, 16))
        d_real, d_fake = net_d(real), net_d(fake.detach())
        err_d = bce(d_real, torch.ones_like(d_real)) + bce(d_fake, torch.zeros_like(d_fake))
        optimizers[1].zero_grad()
        err_d.backward()
        optimizers[1].step()
        again = net_d(fake)
        err_g = bce(again, torch.ones_like(again))
        optimizers[0].zero_grad()
        err_g.backward()
        optimizers[0].step()
        x, z1, z2 = (
            d_real.sigmoid().mean().item(),
            d_fake.sigmoid().mean().item(),
            again.sigmoid().mean().item(),
        )
        print(
            f"[{epoch}/{options.epochs}][{i}/{options.batches}] Loss_D: {err_d.item():.4f} "
            f"Loss_G: {err_g.item():.4f} D(x): {x:.4f} D(G(z)): {z1:.4f} / {z2:.4f}"
        )
    if options.outf:
        torch.save(net_g.state_dict(), f"{options.outf}/netG_epoch_{epoch}.pth")
        torch.save(net_d.state_dict(), f"{options.outf}/netD_epoch_{epoch}.pth")
