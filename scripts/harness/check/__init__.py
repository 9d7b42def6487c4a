# SPDX-License-Identifier: GPL-2.0-or-later
"""What scripts/check is made of: see that file."""
