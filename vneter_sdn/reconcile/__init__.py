# SPDX-License-Identifier: Apache-2.0
"""The difference between desired and observed, as a plan. Pure.

`diff.diff` and `diff.plan_delta` make a `plan.BridgePlan`, `guard.guard` may hold it, and
`apply.apply` says what the bridge holds once it confirmed.
"""
