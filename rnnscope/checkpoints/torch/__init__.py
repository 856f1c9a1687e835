"""PyTorch files: state dicts, training checkpoints, TorchScript archives."""
