"""What torch's operations do to a dtype, with autocast on CUDA and without."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Autocast runs these in its own dtype.
LOWERED = words(
    """
    matmul mm bmm mv addmm addmv addbmm baddbmm chain_matmul multi_dot linear bilinear conv1d conv2d conv3d
    conv_transpose1d conv_transpose2d conv_transpose3d convolution einsum prelu scaled_dot_product_attention
    """
)
# CUDA's autocast runs these in float32.
RAISED = words(
    """
    acos asin cosh erfinv exp expm1 log log10 log2 log1p reciprocal rsqrt sinh tan pow softplus softmax log_softmax
    softmin layer_norm group_norm norm cosine_similarity cosine_embedding_loss nll_loss cross_entropy l1_loss
    mse_loss smooth_l1_loss kl_div margin_ranking_loss multilabel_margin_loss soft_margin_loss triplet_margin_loss
    multi_margin_loss binary_cross_entropy_with_logits dist pdist cdist renorm logsumexp prod cumprod sum cumsum
    huber_loss poisson_nll_loss gaussian_nll_loss
    """
)
# These give what they get.
KEPT = words(
    """
    view reshape transpose permute contiguous unsqueeze squeeze expand expand_as flatten unflatten repeat
    repeat_interleave clone detach mean var std sqrt sigmoid tanh relu relu6 leaky_relu gelu silu elu selu mish
    hardswish hardtanh square abs neg negative clamp clamp_min clamp_max clip masked_fill masked_scatter dropout
    dropout1d dropout2d max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
    adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d interpolate pad roll flip narrow select index_select
    gather tril triu diagonal amax amin view_as view_as_real t mT movedim swapaxes requires_grad_ cuda cpu
    pin_memory rearrange fill_ sin cos atan floor ceil round sign nan_to_num logsigmoid glu unfold sort_values
    pixel_shuffle upsample normalize instance_norm batch_norm alpha_dropout feature_dropout hardsigmoid logit erf
    trunc frac fmod remainder broadcast_to relu_ zero_ mul_ div_ add_ sub_ clamp_ masked_fill_ to_dense squeeze_
    unsqueeze_ swapdims tile take_along_dim real exp_ log_ sqrt_ sigmoid_ tanh_ softmax_ copy_
    """
)
SHAPED = words(
    """
    view reshape transpose permute contiguous unsqueeze squeeze expand expand_as flatten unflatten repeat
    repeat_interleave clone detach roll flip narrow select index_select gather tril triu diagonal view_as t mT
    movedim swapaxes cuda cpu rearrange broadcast_to swapdims tile pin_memory dropout
    """
)
# These promote what they get.
WIDENED = words(
    "add sub subtract mul multiply div divide true_divide where cat concat concatenate stack hstack vstack dstack"
    " maximum minimum lerp addcmul addcdiv atan2 cross outer ger cartesian_prod meshgrid"
)
MADE = words("zeros ones rand randn empty full linspace logspace eye normal")
LIKE = words("zeros_like ones_like rand_like randn_like empty_like full_like")
NEW = words("new_zeros new_ones new_empty new_full")
INTEGERS = words("argmax argmin argsort nonzero bincount randint randperm count_nonzero searchsorted one_hot")
TRUTHS = words("isnan isinf isfinite eq ne lt le gt ge any all logical_and logical_or logical_not isclose")
NUMBERS = words("item numel dim size nelement stride tolist")
CASTS = {"half": "float16", "bfloat16": "bfloat16", "float": "float32", "double": "float32"}
WHOLE_CASTS = {"long": "int", "int": "int", "short": "int", "byte": "int", "bool": "bool"}

LOWERED_LAYERS = words(
    "Linear Bilinear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d PReLU LazyLinear"
)
RAISED_LAYERS = words(
    """
    Softmax LogSoftmax Softmin Softplus LayerNorm GroupNorm CrossEntropyLoss MSELoss L1Loss SmoothL1Loss HuberLoss
    NLLLoss KLDivLoss BCEWithLogitsLoss MarginRankingLoss TripletMarginLoss CosineSimilarity CosineEmbeddingLoss
    SoftMarginLoss PoissonNLLLoss Embedding EmbeddingBag CTCLoss
    """
)
KEPT_LAYERS = words(
    """
    ReLU ReLU6 LeakyReLU GELU SiLU ELU SELU Mish Hardswish Hardtanh Hardsigmoid Sigmoid Tanh Dropout Dropout1d
    Dropout2d Dropout3d AlphaDropout BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm InstanceNorm1d InstanceNorm2d
    InstanceNorm3d MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d
    AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d Upsample Flatten Unflatten Identity ZeroPad2d
    ReflectionPad2d PixelShuffle LogSigmoid Softsign
    """
)
DTYPES = {
    "float16": "float16",
    "half": "float16",
    "bfloat16": "bfloat16",
    "float32": "float32",
    "float": "float32",
    "float64": "float32",
    "double": "float32",
    "int64": "int",
    "long": "int",
    "int32": "int",
    "int": "int",
    "int16": "int",
    "int8": "int",
    "uint8": "int",
    "bool": "bool",
}
