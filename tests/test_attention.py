"""Embedding and attention.

PyTorch's numbers are of version 2.13.0, in double precision, on inputs that `wave` makes; the
call stands beside them.
"""

import numpy as np
import pytest

import nn
from autograd import Tensor, check_gradients, grad, vmap


def wave(*shape, step):
    """Numbers that any library can make alike: sin(step), sin(2·step), ..."""
    return np.sin(step * np.arange(1, np.prod(shape) + 1)).reshape(shape)


def close(a, b, tolerance=1e-10):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# --- embedding ------------------------------------------------------------------------------------


def test_embedding_reads_rows_and_repeated_ones_add_up():
    layer = nn.Embedding(4, 2, dtype=float)
    x = np.array([[1, 3, 1], [0, 1, 3]])
    y = layer(x)
    assert y.shape == (2, 3, 2)
    assert np.array_equal(y.data, layer.weight.data[x])
    g = wave(2, 3, 2, step=0.7)
    np.sum(y * g).backward()
    expected = np.zeros((4, 2))
    for i, cotangent in zip(x.reshape(-1), g.reshape(-1, 2), strict=True):
        expected[i] += cotangent
    close(layer.weight.grad, expected)
    assert layer(2).shape == (2,) and layer(np.uint8([1])).shape == (1, 2)


def test_embedding_is_the_product_with_one_hot_rows():
    """Of all orders: the gradient of a gradient goes through the same rows."""
    layer, x = nn.Embedding(3, 2, dtype=float), np.array([2, 0, 2])
    other = nn.Linear(3, 2, bias=False, dtype=float)
    other.weight.data = layer.weight.data.T.copy()

    def slope_squared(model, x):
        slopes = grad(lambda model: np.sum(model(x) ** 3))(model)
        return np.sum(slopes.weight**2)

    found = grad(slope_squared)(layer, x).weight
    close(found, grad(slope_squared)(other, np.eye(3)[x]).weight.T)


def test_padding_starts_as_zeros_and_has_no_derivative():
    layer = nn.Embedding(4, 2, padding_idx=-1, dtype=float)
    assert np.array_equal(layer.weight.data[3], [0, 0])
    np.sum(layer(np.array([3, 1, 3])) + 1).backward()
    close(layer.weight.grad, [[0, 0], [1, 1], [0, 0], [0, 0]])
    slope = vmap(grad(lambda model, i: np.sum(model(i))), (None, 0))(layer, np.array([3, 1]))
    close(slope.weight[:, [1, 3]], [[[0, 0], [0, 0]], [[1, 1], [0, 0]]])
    assert "padding_idx=3" in repr(layer)


def test_embedding_starts_standard_normal_and_seeded():
    a, b = (nn.Embedding(500, 20, generator=np.random.default_rng(0)) for _ in range(2))
    assert np.array_equal(a.weight.data, b.weight.data) and a.weight.dtype == np.float32
    # of 10,000 draws the mean is known to 0.01, the standard deviation to 0.007
    assert abs(a.weight.data.mean()) < 0.04 and abs(a.weight.data.std() - 1) < 0.03


def test_embedding_says_what_it_wants():
    layer = nn.Embedding(4, 2)
    with pytest.raises(TypeError, match="of integers"):
        layer(np.array([1.0]))
    for wrong in (4, -1):
        with pytest.raises(IndexError, match=rf"Embedding: {wrong} is not in 0..3"):
            layer(np.array([0, wrong]))
    with pytest.raises(ValueError, match="padding_idx is one of the 4 rows, got 4"):
        nn.Embedding(4, 2, padding_idx=4)
    with pytest.raises(ValueError, match="embedding_dim is a positive integer"):
        nn.Embedding(4, 0)


# --- scaled dot-product attention -----------------------------------------------------------------

# torch.nn.functional.scaled_dot_product_attention on wave(2, 2, 4, step=0.7),
# wave(2, 3, 4, step=0.5) and wave(2, 3, 4, step=0.3): the first example's result, and of the
# gradient of sum(result²) by the keys the one of the second example's first key
SEEN = [[True, False, True], [False, True, True]]
ATTENTION = {
    "plain": (
        {},
        [
            [0.4595894707808, 0.6244236276551, 0.7334798815614, 0.7770165621352],
            [0.5857240894093, 0.4138474813528, 0.2050031103289, -0.02215357799],
        ],
        [0.005450759698136, 0.2222459469434, 0.3345153926525, 0.2894570222499],
    ),
    "causal": (
        {"is_causal": True},
        [
            [0.2955202066613, 0.564642473395, 0.7833269096275, 0.9320390859672],
            [0.8665336986861, 0.8975058078129, 0.8483063961256, 0.7233303005419],
        ],
        [0.02370372804547, -0.02722333499354, -0.06534683820874, -0.07273670234186],
    ),
    "boolean mask": (
        {"attn_mask": SEEN},
        [
            [0.3076393792286, 0.5257166843009, 0.6968332836809, 0.8057038411743],
            [0.6066533159668, 0.402972290703, 0.1632949508635, -0.09096904060335],
        ],
        [0.006529641941864, 0.2551393267868, 0.3837529995819, 0.3318816403677],
    ),
    "added mask": (
        {"attn_mask": wave(2, 3, step=1.1)},
        [
            [0.4511428449012, 0.6419385742151, 0.7753918425488, 0.8395816668992],
            [0.5031977578369, 0.2671906021688, 0.007316105769678, -0.2532119165686],
        ],
        [-0.01015300986439, 0.1704178294512, 0.2708385007239, 0.2438795931378],
    ),
    "scale": (
        {"scale": 0.1},
        [
            [0.5591813765053, 0.5877873416838, 0.563888014208, 0.4896182498232],
            [0.5893426760546, 0.5352084215908, 0.4332655928113, 0.2926204389998],
        ],
        [0.009903495147734, 0.02659530591413, 0.030778928746, 0.02048674045459],
    ),
}


def queries_keys_values():
    return wave(2, 2, 4, step=0.7), wave(2, 3, 4, step=0.5), wave(2, 3, 4, step=0.3)


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_is_pytorchs(name):
    options, expected, slope = ATTENTION[name]
    query, key, value = map(Tensor, queries_keys_values())
    y = nn.scaled_dot_product_attention(query, key, value, **options)
    np.sum(y**2).backward()
    close(y.data[0], expected)
    close(key.grad[1, 0], slope)


@pytest.mark.parametrize("name", ATTENTION)
def test_attentions_derivatives_are_finite_differences(name):
    options = ATTENTION[name][0]
    args = [a[:1] for a in queries_keys_values()]
    check_gradients(lambda *args: nn.scaled_dot_product_attention(*args, **options), *args)


def test_infinite_numbers_of_a_mask_hide_keys_as_booleans_do():
    added = np.where(SEEN, 0.0, -np.inf)
    args = queries_keys_values()
    close(
        nn.scaled_dot_product_attention(*args, added), nn.scaled_dot_product_attention(*args, SEEN)
    )


def test_a_mask_and_causality_hide_together():
    args = queries_keys_values()
    both = [[True, False, False], [False, True, False]]  # SEEN, and no key behind its query
    wanted = nn.scaled_dot_product_attention(*args, both)
    for mask in (SEEN, np.where(SEEN, 0.0, -np.inf)):
        close(nn.scaled_dot_product_attention(*args, mask, is_causal=True), wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_query_that_sees_nothing_gives_zero_and_no_nan(dtype):
    query, key, value = (Tensor(a.astype(dtype)) for a in queries_keys_values())
    y = nn.scaled_dot_product_attention(query, key, value, [[False] * 3, [True] * 3])
    assert y.dtype == dtype
    assert np.array_equal(y.data[:, 0], np.zeros((2, 4)))
    np.sum(y**2).backward()
    for a in (query, key, value):
        assert np.all(np.isfinite(a.grad)) and a.grad.dtype == dtype
    assert np.array_equal(query.grad[:, 0], np.zeros((2, 4)))


def test_attention_is_exact_for_large_scores():
    """The key that agrees by a thousand more than the other has all the weight."""
    y = nn.scaled_dot_product_attention(
        np.array([[1000.0]]), np.array([[1.0], [2.0]]), np.array([[3.0], [5.0]])
    )
    assert np.array_equal(y, [[5.0]])


def test_attention_under_vmap():
    args = queries_keys_values()
    close(vmap(nn.scaled_dot_product_attention)(*args), nn.scaled_dot_product_attention(*args))


def test_attention_drops_weights():
    rng = np.random.default_rng(0)
    query, key, value = np.zeros((500, 1, 2)), np.zeros((500, 3, 2)), np.ones((500, 3, 1))
    y = nn.scaled_dot_product_attention(query, key, value, dropout_p=0.25, generator=rng)
    # of three weights of 1/3 each is dropped or is 4/9: the result is a multiple of that
    assert set(np.round(y.reshape(-1) * 9 / 4).astype(int)) == {0, 1, 2, 3}
    assert abs(y.mean() - 1) < 4 * np.sqrt(0.25 / 0.75 / 1500)


@pytest.mark.parametrize("shapes", [((4,), (3, 4), (3, 4)), ((2, 4), (3, 5), (3, 4)),
                                    ((2, 4), (3, 4), (2, 4)),
                                    ((2, 3, 4), (5, 3, 4), (5, 3, 4)),
                                    ((2, 3, 4), (2, 3, 4), (5, 3, 4))])  # fmt: skip
def test_attention_names_the_shapes_it_wanted(shapes):
    with pytest.raises(ValueError, match=r"query \(\.\.\., L, E\)") as caught:
        nn.scaled_dot_product_attention(*map(np.zeros, shapes))
    assert all(str(shape) in str(caught.value) for shape in shapes)


def test_attention_refuses_masks_of_other_kinds():
    with pytest.raises(TypeError, match="booleans or floats, not int"):
        nn.scaled_dot_product_attention(*queries_keys_values(), [[1, 0, 1]])
    model, (q, k, v) = multihead(batch_first=True), queries_keys_values()
    for padding in (None, PADDING):
        with pytest.raises(TypeError, match="booleans or floats, not int"):
            model(q, k, v, attn_mask=HIDDEN.astype(int), key_padding_mask=padding)


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (3, 1), (5, 3, 4)])
def test_attention_names_the_shape_of_a_mask_that_does_not_fit(shape):
    query, key = np.zeros((1, 3)), np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"broadcasts to \(1, 4\) wanted, got \("):
        nn.scaled_dot_product_attention(query, key, key, np.ones(shape, bool))


def test_attention_to_no_keys_and_of_no_examples():
    y = nn.scaled_dot_product_attention(np.ones((2, 3)), np.ones((0, 3)), np.ones((0, 4)))
    assert np.array_equal(y, np.zeros((2, 4)))
    x = Tensor(np.zeros((0, 3, 4)))
    y, weights = multihead(batch_first=True)(x)
    np.sum(y).backward()
    assert y.shape == x.grad.shape == (0, 3, 4) and weights.shape == (0, 3, 3)


def test_masks_may_be_learned_and_differ_under_vmap():
    model, x = multihead(batch_first=True), wave(2, 3, 4, step=0.7)
    scores, hidden = wave(2, 3, 3, step=0.3), np.tril(np.ones((2, 3, 3), bool), -1)
    padding = np.array([[False, True, False], [False, False, True]])
    check_gradients(lambda mask: np.sum(model(x, attn_mask=mask)[0] ** 2), scores[0])
    for name, masks in (
        ("attn_mask", scores),
        ("attn_mask", hidden),
        ("key_padding_mask", padding),
    ):
        found = vmap(lambda x, m, name=name: model(x, **{name: m})[0])(x, masks).data
        for y, a, m in zip(found, x, masks, strict=True):
            close(y, model(a, **{name: m})[0].data)


# --- multi-head attention -------------------------------------------------------------------------

# torch.nn.MultiheadAttention(4, 2, batch_first=True), its i-th parameter 0.7 ·
# wave(*shape, step=0.3 + 0.2 i), on the arrays above: the first example's result and weights; of
# the gradients of sum(result²) the sum for in_proj_weight, that of its squares, and the sums for
# in_proj_bias and out_proj.weight
PADDING = np.array([[False, False, True], [False, False, False]])
HIDDEN = np.array([[False, True, False], [True, False, False]])
MULTIHEAD = {
    "plain": (
        {},
        [
            [-0.9029575113396, 1.462234120068, 0.27956634572, -1.05337078248],
            [-1.496858292479, 1.802721559364, 0.2318373828154, -1.303915631485],
        ],
        [
            [0.5374508859645, 0.1411609107295, 0.321388203306],
            [0.5594551008012, 0.3506670446435, 0.08987785455535],
        ],
        [36.09648775887, 673.6953965403, -31.04467322673, -11.21559154377],
    ),
    "padding": (
        {"key_padding_mask": PADDING},
        [
            [-1.556767587794, 1.818176013963, 0.2626236133587, -1.37738503449],
            [-1.822835477641, 2.036756337993, 0.1167889741416, -1.321148048293],
        ],
        [[0.7963044938829, 0.2036955061171, 0.0], [0.5959972635073, 0.4040027364927, 0.0]],
        [-6.21788596685, 897.6827326873, -33.78100533089, -4.980535304362],
    ),
    "mask": (
        {"attn_mask": HIDDEN},
        [
            [-0.7978199640503, 1.42567123629, 0.2433295303005, -0.9485216246164],
            [-1.551053692328, 1.807858848699, 0.2763518451008, -1.392937962516],
        ],
        [[0.6339979704014, 0.0, 0.3660020295986], [0.0, 0.8510253030788, 0.1489746969212]],
        [8.702671569725, 891.1915820369, -25.72268199613, -9.379585171107],
    ),
    "both": (
        {"attn_mask": HIDDEN, "key_padding_mask": PADDING},
        [
            [-1.443683852635, 1.748122642246, 0.2815515819418, -1.343000372498],
            [-2.056982534196, 2.148230869697, 0.1408684423221, -1.477999005739],
        ],
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        [-40.30224338162, 1243.440588778, -27.56881982831, -1.685684276025],
    ),
}


def multihead(**settings):
    model = nn.MultiheadAttention(4, 2, dtype=float, **settings)
    state = model.state_dict()
    model.load_state_dict(
        {n: 0.7 * wave(*a.shape, step=0.3 + 0.2 * i) for i, (n, a) in enumerate(state.items())}
    )
    return model


def test_multihead_parameters_have_pytorchs_names_and_shapes():
    assert [(n, p.shape) for n, p in multihead().named_parameters()] == [
        ("in_proj_weight", (12, 4)), ("in_proj_bias", (12,)),
        ("out_proj.weight", (4, 4)), ("out_proj.bias", (4,)),
    ]  # fmt: skip


@pytest.mark.parametrize("name", MULTIHEAD)
def test_multihead_attention_is_pytorchs(name):
    masks, expected, weights, sums = MULTIHEAD[name]
    model = multihead(batch_first=True)
    y, found = model(*queries_keys_values(), **masks)
    close(y.data[0], expected)
    close(found.data[0], weights)
    np.sum(y**2).backward()
    slope = model.in_proj_weight.grad
    close(
        [
            np.sum(slope), np.sum(slope**2), np.sum(model.in_proj_bias.grad),
            np.sum(model.out_proj.weight.grad),
        ],
        sums,
    )  # fmt: skip


def test_multihead_attention_takes_examples_second_or_alone():
    """And masks for each example, or each head, or numbers to add."""
    args, first = queries_keys_values(), multihead(batch_first=True)
    second = multihead()
    y, weights = first(*args, key_padding_mask=PADDING)
    z, same = second(*(np.swapaxes(a, 0, 1) for a in args), key_padding_mask=PADDING)
    close(np.swapaxes(z.data, 0, 1), y.data)
    close(same.data, weights.data)
    alone, one = second(*(a[0] for a in args), key_padding_mask=PADDING[0])
    close(alone.data, y.data[0])
    close(one.data, weights.data[0])
    hidden = np.where(HIDDEN, -np.inf, 0.0)
    expected = first(*args, attn_mask=HIDDEN, key_padding_mask=PADDING)[0].data
    for mask in (hidden, np.stack([HIDDEN] * 2), np.stack([np.stack([hidden] * 2)] * 2)):
        close(first(*args, attn_mask=mask, key_padding_mask=PADDING)[0].data, expected)


def test_multihead_attention_of_itself_and_each_heads_weights():
    model, x = multihead(batch_first=True), wave(2, 3, 4, step=0.7)
    y, weights = model(x, average_attn_weights=False, is_causal=True)
    assert weights.shape == (2, 2, 3, 3)
    assert np.array_equal(weights.data[..., 0, 1:], np.zeros((2, 2, 2)))
    close(np.sum(weights.data, -1), np.ones((2, 2, 3)))
    assert np.array_equal(model(x, x, x, is_causal=True)[0].data, y.data)
    assert model(x, need_weights=False)[1] is None
    later = x.copy()
    later[:, 2] += 1  # what is seen by nothing before it
    close(model(later, is_causal=True)[0].data[:, :2], y.data[:, :2])


def test_multihead_attention_starts_as_pytorchs():
    model = nn.MultiheadAttention(16, 4, generator=np.random.default_rng(0))
    bound = np.sqrt(6 / (4 * 16))
    assert 0.95 * bound < np.max(np.abs(model.in_proj_weight.data)) <= bound
    assert np.max(np.abs(model.out_proj.weight.data)) <= 1 / 4
    for bias in (model.in_proj_bias, model.out_proj.bias):
        assert np.array_equal(bias.data, np.zeros_like(bias.data))
    assert all(p.dtype == np.float32 for p in model.parameters())
    assert len(nn.MultiheadAttention(4, 2, bias=False).parameters()) == 2
    assert "dropout=0.1, batch_first=True" in repr(
        nn.MultiheadAttention(4, 2, 0.1, batch_first=True)
    )


def test_multihead_attention_drops_while_training_only():
    x = wave(2, 3, 4, step=0.7)
    model = multihead(dropout=0.5, batch_first=True, generator=np.random.default_rng(0))
    assert not np.array_equal(model(x)[0].data, model(x)[0].data)
    close(model.eval()(x)[0].data, multihead(batch_first=True)(x)[0].data)


def test_multihead_attention_says_what_it_wants():
    model, (q, k, v) = multihead(batch_first=True), queries_keys_values()
    for args, options, message in (
        ((q[..., :3],), {}, r"\(4, 2\): .*\(N, L, E\).*E = 4 wanted, got \(2, 2, 3\)"),
        ((q, k[0], v), {}, r"got \(3, 4\)"),
        ((q, k[:, :2], v), {}, "as many keys as values"),
        ((q, k, v), {"attn_mask": HIDDEN.T}, r"attn_mask \(L, S\).*got \(3, 2\)"),
        ((q, k, v), {"key_padding_mask": PADDING[0]}, r"key_padding_mask.*got bool \(3,\)"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            model(*args, **options)
    for settings, message in (
        ((4, 3), "num_heads divides embed_dim, got 3 and 4"),
        ((0, 1), "embed_dim is a positive integer"),
        ((4, 2, 1.5), "dropout is a probability"),
    ):
        with pytest.raises(ValueError, match=message):
            nn.MultiheadAttention(*settings)
