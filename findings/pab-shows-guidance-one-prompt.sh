#!/usr/bin/env bash
# Guess: PyramidAttentionBroadcastConfig on CogView4 keeps the attention of the prompt and that of the negative prompt apart, as
# the pipeline tells it which is which (cache_context "cond" and "uncond"); guidance acts about as without it, a bit coarser.
# Really: the hook does not ask, and counts calls. The pipeline calls the transformer once for each prompt, so with a range of 2, the
# default, the negative prompt is always given what attention made of the prompt a moment before, and no step is spared anything over
# steps. The text acts through attention alone, so both predictions are the same: guidance does nothing, at any scale, at each
# timestep in the range, and the negative prompt is not heard. By default (100 to 800) that is most of the way. The example of the
# documentation, CogVideoX, calls once for both. Qwen-Image, Flux with true_cfg_scale and others call twice too.
# With diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen 2026-11-28 (how far the picture goes from guidance 2 to 10, by its
# deviation, and in how many of 20 steps both predictions are the same): without 0.141, 0; PAB by default 0.047, 14; at all timesteps 0, 20
set -euo pipefail
venv=${FINDINGS_VENV:-$(mktemp -d)/venv}
[ -n "${FINDINGS_VENV:-}" ] || trap 'rm -rf "${venv%/venv}"' EXIT
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
"$venv/bin/python" - <<'PY'
import torch
from diffusers import CogView4Pipeline, CogView4Transformer2DModel, FlowMatchEulerDiscreteScheduler, PyramidAttentionBroadcastConfig

torch.manual_seed(0)
net = CogView4Transformer2DModel(
    in_channels=4, out_channels=4, num_layers=2, attention_head_dim=4, num_attention_heads=4, text_embed_dim=32, time_embed_dim=8,
    condition_dim=4).eval()
for weight in net.parameters():
    if weight.ndim > 1:
        torch.nn.init.normal_(weight, std=0.2)
pipe = CogView4Pipeline(
    tokenizer=None, text_encoder=None, vae=None, transformer=net, scheduler=FlowMatchEulerDiscreteScheduler())
pipe.set_progress_bar_config(disable=True)
prompt, *negatives = torch.randn(3, 1, 16, 32)
seen = []
net.register_forward_hook(lambda module, given, out: seen.append(out[0]))


def render(scale, negative=negatives[0]):
    seen.clear()
    return pipe(
        prompt_embeds=prompt, negative_prompt_embeds=negative, guidance_scale=scale, num_inference_steps=20, height=128, width=128,
        generator=torch.Generator().manual_seed(0), output_type="latent").images


def look(what):
    first = render(2.0)
    moved = [((render(scale) - first).std() / first.std()).item() for scale in (5.0, 10.0)]
    alike = sum(torch.equal(a, b) for a, b in zip(seen[::2], seen[1::2]))
    other = not torch.equal(render(5.0), render(5.0, negatives[1]))
    print(f"{what}: from 2 to 5 and to 10 guidance moves the picture by", *(f"{each:.3f}" for each in moved),
          f"both predictions the same in {alike} of {len(seen) // 2} steps, another negative prompt another picture: {other}")
    return moved, alike, other


found = {"without": look("without PAB")}
for name, timesteps in {"default": (100, 800), "all": (-1, 1001)}.items():
    net.enable_cache(PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=2, spatial_attention_timestep_skip_range=timesteps,
        current_timestep_callback=lambda: pipe.current_timestep))
    found[name] = look(f"PAB at timesteps {timesteps}")
    net.disable_cache()
assert found["without"][1:] == (0, True)
assert found["default"][1] > 10 and found["default"][0][1] < found["without"][0][1] / 2, "this has changed"
assert found["all"] == ([0, 0], 20, False), "this has changed"
PY
