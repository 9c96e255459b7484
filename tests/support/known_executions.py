"""All executions that an order knows of."""

from orders.domain.executions import Execution, Executions


def known_executions(executions: Executions) -> dict[str, Execution]:
    """By their ids, those included that do not count or were only referred to."""
    return {exec_id: execution for layer in executions.layers for exec_id, execution in layer.items()}
