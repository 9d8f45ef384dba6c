# SPDX-License-Identifier: Apache-2.0
"""What policies mean: normal rules, who is in a selector, and a plain evaluator. Pure."""
