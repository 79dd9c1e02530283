"""The fingerprint of a space: stable where nothing changed, another after any change."""

from typing import Any

import pytest
from torch import nn

import spaces
from spaces.fingerprint import fingerprint, output_digits
from tests.toy import Toy


def test_it_is_the_same_at_each_call_and_differs_by_option() -> None:
    plain = spaces.create("nasbench201", 10, 32, {})
    fingerprint.cache_clear()
    first = fingerprint(plain)
    fingerprint.cache_clear()
    assert fingerprint(spaces.create("nasbench201", 10, 32, {})) == first
    assert fingerprint(spaces.create("nasbench201", 10, 32, {"cells": 2})) != first
    assert fingerprint(spaces.create("nasbench201", 100, 32, {})) != first


def test_it_sees_a_change_that_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint.cache_clear()
    before = fingerprint(Toy())
    fingerprint.cache_clear()
    build = Toy.network

    def changed(self: Toy, *arguments: Any) -> nn.Module:
        network = build(self, *arguments)
        network.register_forward_hook(lambda module, inputs, output: output.tanh())
        return network

    monkeypatch.setattr(Toy, "network", changed)
    assert fingerprint(Toy()) != before
    fingerprint.cache_clear()


def test_outputs_are_rounded_and_no_weight_is_random() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2))
    again = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2))
    digits = output_digits(network)
    assert digits == output_digits(again)
    assert all(len(text.lstrip("-")) == len("1.234e+00") for text in digits)
