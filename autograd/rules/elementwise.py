"""Operations on corresponding elements."""
import operator
import math
import numpy as np

from ..primitive import elementwise

elementwise(np.add, lambda g, y, a, b: g, lambda g, y, a, b: g, scalar=operator.add)
elementwise(np.subtract, lambda g, y, a, b: g, lambda g, y, a, b: -g, scalar=operator.sub)
elementwise(np.multiply, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a, scalar=operator.mul)
elementwise(np.true_divide, lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b, scalar=operator.truediv)
elementwise(np.negative, lambda g, y, x: -g, scalar=operator.neg)
elementwise(np.tanh, lambda g, y, x: g * (1 - y * y), scalar=math.tanh)
elementwise(np.exp, lambda g, y, x: g * y, scalar=math.exp)
elementwise(np.sin, lambda g, y, x: g * np.cos(x), scalar=math.sin)
elementwise(np.cos, lambda g, y, x: -g * np.sin(x), scalar=math.cos)
elementwise(np.power, lambda g, y, a, b: g * b * a ** (b-1), lambda g, y, a, b: g * y * np.log(a))
elementwise(np.log, lambda g, y, x: g / x, scalar=math.log)
relu = elementwise(lambda x: np.maximum(x, 0), lambda g, y, x: g * (y > 0), name="relu", scalar=lambda x: x if x > 0 or x != x else 0.0)
