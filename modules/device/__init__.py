"""This product: configuration, state, the command protocol, Wi-Fi, phone home and routes."""
