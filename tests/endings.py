"""Waiting for processes to end, where a container may have nobody who reaps them."""

import time

import psutil


def all_gone(family, patience=30.0):
    """Return whether every process ends within `patience` seconds; one that has ended but is not reaped counts."""
    deadline = time.monotonic() + patience
    while alive := [process for process in family if runs(process)]:
        if time.monotonic() > deadline:
            return False
        psutil.wait_procs(alive, timeout=0.05)
    return True


def runs(process):
    """Return whether a process is there and has not ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
