"""The workloads, in the order of the table. To add one, define a Workload and list it here."""

from benchmarks.workload import Workload
from benchmarks.workloads import (
    adbench,
    arrays,
    compiled,
    compiling,
    modes,
    networks,
    optimizers,
    pictures,
    plans,
    recurrent,
    scalars,
    training,
)

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        scalars.MLP,
        scalars.PRODUCT,
        arrays.TANH_CHAIN,
        networks.SMALL,
        networks.LARGE,
        networks.LARGE_ADAM,
        *training.STEPS,
        *optimizers.STEPS,
        recurrent.ELMAN,
        training.DIGITS,
        arrays.PRODUCT_BY_INDEX,
        networks.MEMORY,
        networks.FOOTPRINT,
        modes.JACOBIAN_REVERSE,
        modes.JACOBIAN_FORWARD,
        modes.HESSIAN,
        modes.PER_EXAMPLE,
        modes.HVP,
        modes.JVP,
        *plans.AUTO,
        *plans.PICKS,
        *compiled.COMPILED,
        *compiling.COMPILING,
        *adbench.ADBENCH,
        pictures.ALL,
        pictures.COLLAPSED,
    )
}
