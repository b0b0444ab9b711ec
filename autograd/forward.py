"""Forward mode on a recorded graph: tangents of the inputs pushed, in order, to the outputs.

With U_i the tangent of node i, U_i = Σ_j ∂v_i/∂v_j · U_j over its inputs j: one loop over the
nodes, oldest first.  `autograd.dual` does the same while a function runs, without a graph.
"""

from .graph import Node, history
from .watched import Writes, check_unwritten


def push_forward(outputs, tangents):
    """The tangents of the nodes `outputs`, given those of some nodes; None where one stands still.

    outputs    None among them is one that depends on nothing, and stands still
    tangents   node -> tangent, of inputs or of any nodes of the graph
    """
    nodes = history(*filter(None, outputs))
    last, needed = {}, set(outputs)  # node -> the inputs that no later node needs
    for node in nodes:
        last[node] = {x for x in node.inputs if isinstance(x, Node) and x not in needed}
        needed |= last[node]
    moves, latest = dict(tangents), Writes.latest
    for node in reversed(nodes):
        primitive = node.primitive
        if primitive is None or node in tangents:
            continue
        inputs = node.inputs
        us = [moves.get(source) if isinstance(source, Node) else None for source in inputs]
        if all(u is None for u in us):
            continue
        if node.serial < latest:
            check_unwritten(node, moves, pushing=True)
        args = [source.value if isinstance(source, Node) else source for source in inputs]
        u = primitive.push(us, node.value, args, node.options or {})
        if u is not None:
            moves[node] = u
        for source in last[node]:
            moves.pop(source, None)
    return [moves.get(node) for node in outputs]
