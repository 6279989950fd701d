import pytest
import torch
from torch import nn

from calogan.training.precision import Precision

CPU = torch.device("cpu")


class Seen(nn.Module):
    """A linear layer that remembers in what type it computed."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.types = []

    def forward(self, inputs):
        outputs = self.layer(inputs)
        self.types.append(outputs.dtype)
        return outputs


def test_large_networks_compute_in_bfloat16_and_give_float32():
    network, inputs = Seen(), torch.randn(4, 8)
    exact = network(inputs)
    with Precision("bf16", CPU).of([network]):
        rounded = network(inputs)
    assert network.types == [torch.float32, torch.bfloat16]
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)


def test_what_is_called_in_full_is_in_float32():
    network, precision = Seen(), Precision("bf16", CPU)
    with precision.of([network]):
        with precision.full():
            network(torch.randn(4, 8))
        network(torch.randn(4, 8))
    assert network.types == [torch.float32, torch.bfloat16]


@pytest.mark.parametrize("name", ["float32", "tf32", "bf16"])
def test_networks_and_torch_are_left_as_they_were(name):
    network, before = Seen(), torch.get_float32_matmul_precision()

    def fail():
        with Precision(name, CPU).of([network]):
            network(torch.randn(4, 8))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert "forward" not in vars(network)
    assert torch.get_float32_matmul_precision() == before


def test_tf32_is_for_gpus_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", asked.append)
    for device in ("cpu", "cuda"):
        with Precision("tf32", torch.device(device)).of([]):
            pass
    assert asked == ["highest", "high", "highest"]
