package diagnose

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/gantry-run/gantry/bootstrap/preflight"
)

// Preflight warns of what an apply would refuse. It is never an error: what is found
// may be mended by then, and a host that cannot be reached may be there.
func Preflight(found map[string]error, diags *diag.Diagnostics) {
	for _, name := range slices.Sorted(maps.Keys(found)) {
		err := found[name]
		if unfit := (*preflight.Error)(nil); errors.As(err, &unfit) {
			// A summary of its own: Terraform shows only the first of several warnings
			// that have one summary, and that must not hide what the apply did.
			_, detail := Host(name, err)
			diags.AddWarning(fmt.Sprintf("Host %s fails preflight checks", name), detail)
			continue
		}
		if doubt := (*preflight.Doubt)(nil); errors.As(err, &doubt) {
			diags.AddWarning(fmt.Sprintf("Host %s does not reach every master", name), doubt.Error())
			continue
		}
		diags.AddWarning(fmt.Sprintf("Host %s could not be checked", name),
			err.Error()+"\nWhether it can become a node is seen when the plan is applied.")
	}
}

// Preview warns of what a plan does to pods and to etcd. It is never an error: what
// could not be looked at is said too.
func Preview(summary string, found []string, err error, diags *diag.Diagnostics) {
	if err != nil {
		found = append(found, fmt.Sprintf("More could not be determined: %v", err))
	}
	diags.AddWarning(summary, strings.Join(found, "\n"))
}
