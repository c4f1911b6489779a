#!/usr/bin/env bash
# Generates the provider's documentation (docs/index.md, docs/resources/…) from
# its schema, examples/ and templates/. make docs runs it, after make bundle.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
terraform=$(command -v terraform || command -v tofu || echo "$root/bin/tofu")

cat >"$work/main.tf" <<'TF'
terraform {
  required_providers {
    gantry = {
      source = "registry.terraform.io/gantry-run/gantry"
    }
  }
}
TF
export TF_CLI_CONFIG_FILE=$root/dist/cli.tfrc
"$terraform" -chdir="$work" init -no-color >/dev/null
# The generator looks for hashicorp's providers or for the short name.
"$terraform" -chdir="$work" providers schema -json |
	sed 's#registry.terraform.io/gantry-run/gantry#gantry#' >"$work/schema.json"
(cd "$root/tools" && CGO_ENABLED=0 go build -trimpath -o "$root/bin/tfplugindocs" github.com/hashicorp/terraform-plugin-docs/cmd/tfplugindocs)
cd "$root"
bin/tfplugindocs generate --provider-name gantry --rendered-provider-name Gantry --providers-schema "$work/schema.json"
