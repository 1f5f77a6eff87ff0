"""Letting go of what is loaded."""

from edgeprep.interfaces import Runner

__all__ = ["close"]


def close(runner: Runner) -> None:
    """Let go of a runner; an engine that cannot is no reason to give up the others."""
    try:
        runner.close()
    except Exception as fault:  # noqa: BLE001 -- an engine's fault, and nobody waits for a result
        # Here, as logging takes long to import and is rarely needed.
        import logging

        logging.getLogger("edgeprep").warning("a runner could not be closed: %r", fault)
