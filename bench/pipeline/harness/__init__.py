"""What every case is made of: devices, sub-models alone, deployments, frames, figures."""
