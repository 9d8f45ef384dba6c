# SPDX-License-Identifier: Apache-2.0
"""The datapath contract: tables, registers, priorities, cookies, locators, and their text."""
