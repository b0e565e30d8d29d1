"""Where upstream is wrong, we are not: `docs/parity.md` lists the mistakes and the test of each."""

import re

import torch

from chatterbox_plus.engines.chatterbox.flow import Flow, FlowPrompt
from parity import tiny
from parity.checkpoints import random_tokens
from parity.environment import ROOT


@torch.inference_mode()
def test_a_prompts_ids_stay_whole_numbers_in_half_precision() -> None:
    # Upstream turns them into numbers of the weights' type: bfloat16 knows eight bits of the thirteen that an id needs.
    prompt_ids, ids = random_tokens("prompt", 30), random_tokens("said", 10)
    assert not torch.equal(prompt_ids.bfloat16().long(), prompt_ids)
    torch.manual_seed(0)
    flow = Flow(**tiny.PARTS["flow"]).eval()
    prompt = FlowPrompt(prompt_ids, torch.zeros(60, 80), torch.ones(192))
    whole = flow.encode(ids, prompt)
    half = flow.bfloat16().encode(ids, prompt).float()
    spoilt = flow.encode(ids, FlowPrompt(prompt_ids.bfloat16().long(), prompt.mel, prompt.xvector)).float()
    assert (half - whole).abs().max() < 0.1 * (spoilt - whole).abs().max()


def test_every_mistake_that_is_listed_has_its_test() -> None:
    page = (ROOT / "docs" / "parity.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)\.(test_\w+)`", page)
    assert len(named) > 5
    for module, test in named:
        assert f"def {test}(" in (ROOT / f"tests/engines/chatterbox/{module}.py").read_text(encoding="utf-8")
