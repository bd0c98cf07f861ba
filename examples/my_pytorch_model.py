"""Which layer of my PyTorch model shall I read out? One pass, no probe is trained."""

import torch

import pnc

torch.manual_seed(0)
labels = torch.arange(300) % 3
images = 0.5 * torch.randn(300, 20) + torch.eye(3, 20)[labels]  # put your own data here
model = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8), torch.nn.ReLU())
choice = pnc.choose(model, torch.utils.data.DataLoader(list(zip(images, labels)), batch_size=50))
print(f"read out {choice.best.name}: {choice.best.accuracy:.1%} ± {choice.best.standard_error:.1%} of left-out samples")
