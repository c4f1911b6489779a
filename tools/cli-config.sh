#!/usr/bin/env bash
# Prints a CLI configuration for terraform and tofu: the gantry provider comes from the
# mirror directory DIR, without a network, and every other provider from its registry.
# make bundle writes it to dist/cli.tfrc.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
# Both registries by name: a pattern may leave the host open only where it leaves all open.
gantry='["registry.terraform.io/gantry-run/gantry", "registry.opentofu.org/gantry-run/gantry"]'
cat <<HCL
disable_checkpoint = true

provider_installation {
  filesystem_mirror {
    path    = "$1"
    include = $gantry
  }
  # A configuration with provider_installation has no other sources than those it names.
  direct {
    exclude = $gantry
  }
}
HCL
