import math

import pytest
import torch

from calogan.models.conditioning import Conditioning
from calogan.physics.kinematics import Domain

DOMAIN = Domain((1.0, 64.0), math.radians(20), (-20.0, 20.0), (-20.0, 20.0))
INCIDENT = torch.tensor([[3.0, 0.0, 4.0, 9.0, -7.0], [0.0, 0.0, 5.0, 0.0, 0.0]])


def test_momentum_spans_minus_one_to_one():
    momentum = Conditioning(("momentum",), DOMAIN).momentum
    ends = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 8.0, 0.0, 0.0], [0.0, 0.0, 64.0, 0.0, 0.0]])
    assert momentum(ends).flatten().tolist() == pytest.approx([-1.0, 0.0, 1.0], abs=1e-6)
    assert momentum(INCIDENT)[0].item() == pytest.approx(momentum(INCIDENT)[1].item())


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("momentum",), [0.0, 0.0, 5.0, 0.0, 0.0]),
        (("momentum", "direction"), [3.0, 0.0, 4.0, 0.0, 0.0]),
        (("momentum", "entry_point"), [0.0, 0.0, 5.0, 9.0, -7.0]),
        (("momentum", "direction", "entry_point"), [3.0, 0.0, 4.0, 9.0, -7.0]),
    ],
)
def test_what_is_not_told_is_along_the_axis_and_at_the_centre(names, told):
    found = Conditioning(names, DOMAIN).told(INCIDENT)
    assert found[0].tolist() == pytest.approx(told)
    assert found[1].tolist() == pytest.approx([0.0, 0.0, 5.0, 0.0, 0.0])


def test_domains_without_width_are_no_division_by_zero():
    conditioning = Conditioning(("momentum", "direction"), Domain((5.0, 5.0), 0.0, (0.0, 0.0), (0.0, 0.0)))
    assert conditioning.momentum(INCIDENT).tolist() == [[pytest.approx(0.0)], [pytest.approx(0.0)]]
    assert conditioning.largest_slope == 1.0


def test_the_type_is_told_beside_the_others():
    conditioning = Conditioning(("momentum", "entry_point", "particle"), DOMAIN, 3)
    incident = torch.cat([INCIDENT, torch.tensor([[2.0], [0.0]])], dim=1)
    assert conditioning.particle(incident).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert torch.equal(conditioning.told(incident), Conditioning(("momentum", "entry_point"), DOMAIN).told(INCIDENT))
    assert conditioning.momentum(incident)[1].item() == pytest.approx(conditioning.momentum(INCIDENT)[1].item())
