"""Stages that vary pictures for training, and what they draw from."""
