"""A code location for the stack's tests: a job that ends at once, and one that takes a minute."""

import threading

import dagster as dg


@dg.op
def pass_by() -> None:
    return


@dg.op
def linger() -> None:
    threading.Event().wait(60)


@dg.job(executor_def=dg.in_process_executor)
def quick() -> None:
    pass_by()


@dg.job(executor_def=dg.in_process_executor)
def slow() -> None:
    linger()


defs = dg.Definitions(jobs=[quick, slow])
