"""Model files for elsewhere: a checkpoint as ONNX, torch.export or safetensors, and what reads them back."""
