import torch
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler


def train(model, optimizer, loader):
    model = FullyShardedDataParallel(model)
    scaler = ShardedGradScaler()
    for x in loader:
        scaler.scale(model(x)).backward()
        scaler.unscale_(optimizer)
        model.clip_grad_norm_(1.0)
        scaler.step(optimizer)
        scaler.update()
