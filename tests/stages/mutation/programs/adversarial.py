import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel


def train(generator, critic, loader, reals):
    generator = DistributedDataParallel(generator)
    opt_g = torch.optim.Adam(generator.parameters())
    opt_d = torch.optim.Adam(critic.parameters())
    scaler = torch.amp.GradScaler("cpu")
    for x in loader:
        with torch.autocast("cpu", dtype=torch.float16):
            logits = critic(generator(x)).float()
            loss = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        (grad,) = torch.autograd.grad(scaler.scale(loss), x, create_graph=True)
        grad = grad / scaler.get_scale()
        scaler.scale(loss + grad.norm()).backward()
        scaler.step(opt_g)
        scaler.step(opt_d)
        scaler.update()
