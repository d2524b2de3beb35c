import torch

from amp_runtime.instrument.gradients import Gradients


def parameters(count=3):
    return [torch.nn.Parameter(torch.zeros(2)) for _ in range(count)]


def test_a_list_is_looked_up_once_while_its_ends_are_the_same():
    gradients, mine = Gradients(), parameters()
    for one in mine:
        gradients.of(one)
    first = gradients.among(mine, again=True)
    assert first[1] == 0
    assert gradients.among(list(mine), again=True)[0] is first[0]
    assert gradients.among(list(mine))[0] is not first[0]


def test_another_list_at_the_same_addresses_is_not_taken_for_it():
    gradients, old, new = Gradients(), parameters(), parameters()
    for one in (*old, *new):
        gradients.of(one)
    gradients.among(old, again=True)
    # The allocator gives addresses out again as it likes; what was noted of the old list stands under the new one's.
    (noted,) = gradients._listed.values()
    gradients._listed = {(len(new), id(new[0]), id(new[-1])): noted}
    found, unknown = gradients.among(new, again=True)
    assert [one.parameter() for one in found] == new
    assert unknown == 0


def test_a_parameter_at_the_address_of_a_freed_one_is_not_known():
    gradients, old, new = Gradients(), *parameters(2)
    gradients.of(old)
    gradients._known = {id(new): gradients.of(old)}
    assert gradients.among([new])[1] == 1


def test_a_list_with_unknown_parameters_is_looked_up_again_once_one_is_met():
    gradients, mine = Gradients(), parameters()
    assert gradients.among(mine, again=True)[1] == 3
    gradients.of(mine[0])
    assert gradients.among(mine, again=True)[1] == 2
    assert gradients.among([], again=True)[1] == 0
