"""The network: model, device, objective and gradients, prediction, temperature."""
