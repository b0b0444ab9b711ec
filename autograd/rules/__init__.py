"""Derivative rules, one definition per operation, by subject."""
import importlib, pathlib
for m in ("elementwise","reductions","shapes","indexing","selection","linalg","numerics","random"):
    if (pathlib.Path(__file__).parent/f"{m}.py").exists():
        try: importlib.import_module("autograd.rules."+m)
        except Exception as e: print("RULES", m, "failed:", repr(e))
# scaffolding while the rule files are being written
import numpy as np
from autograd.primitive import *
from autograd.primitive import registry, bilinear, linear, constant
if np.matmul not in registry: bilinear(np.matmul, lambda g,y,a,b: g@b.T, lambda g,y,a,b:a.T@g)
if np.sum not in registry: linear(np.sum, lambda g,y,x,axis=None,keepdims=False: np.broadcast_to(g if axis is None or keepdims else np.expand_dims(g,axis), x.shape))
if np.expand_dims not in registry: linear(np.expand_dims, lambda g,y,x,axis: np.reshape(g,x.shape))
if np.copy not in registry: linear(np.copy, lambda g,y,x: g)
for f in (np.shape,np.ndim,np.size,np.zeros_like,np.ones_like):
    if f not in registry: constant(f)
if np.stack not in registry:
    linear(np.stack, lambda i,g,y,*xs: g[i], variadic=True, forward=lambda *xs: np.stack(xs), bind=lambda a,o:(a[0],o))
if np.reshape not in registry: linear(np.reshape, lambda g,y,x,shape,order=None: g.reshape(x.shape))
if np.broadcast_to not in registry: linear(np.broadcast_to, lambda g,y,x,shape: g)
__all__=[]
for m in ("elementwise","reductions","selection"):
    mod=importlib.import_module("autograd.rules."+m)
    for n in ("relu","sigmoid","softplus","log_sigmoid","softmax","log_softmax","logsumexp","put_along_axis"):
        if hasattr(mod,n): globals()[n]=getattr(mod,n); __all__.append(n)
