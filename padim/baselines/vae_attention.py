"""VAE attention: where an image drives its latent (Liu et al. 2019, arXiv 1911.07389, "VE-VAE" in PaDiM's tables)."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from padim.baselines.vae import VAE, VAEModule
from padim.grids import Grid


class VAEAttention(VAE):
    """The VAE of :mod:`padim.baselines.vae`, and the attention of its latent as the distance.

    Of each number z_i of the latent, with A_k the maps of the encoder's last layer (section 3.1 of the paper),

        alpha_ik = mean over the positions of dz_i / dA_k,   M_i = ReLU(sum over k of alpha_ik A_k),

    and M is the mean of all M_i, on the encoder's grid; z is the mean of q(z | x). Here z is a 1x1 convolution of A: at
    position p and in channel c it is w_c A(p) + b_c, so that its gradient is w_c at p and 0 elsewhere. Of T positions
    alpha is w_c / T, the same for all p, and

        M(p) = mean over c of ReLU(w_c A(p)) / T,

    which needs no backward pass, and no gradients where there are none, as in a test.

    On MVTec AD the authors report a pixel AUROC of 0.861, and CAVGA (Venkataramanan et al. 2020, arXiv 1911.08616),
    whose training spreads this attention over normal images, 0.89.
    """

    @property
    def grid(self) -> Grid:
        return self.encoder.grids[0]

    def distances(self, images: Tensor) -> Float[Tensor, "B h w"]:
        weight = self.posterior.weight.chunk(2)[0]  # of the mean
        driven = functional.conv2d(self.features(images), weight).relu()  # (B, latent, h, w)
        return driven.mean(1) / driven[0, 0].numel()


class VAEAttentionModule(VAEModule):
    """The VAE, and its attention, as a LightningModule; arguments are those of :class:`VAEModule`."""

    name = "vae_attention"
    network = VAEAttention
