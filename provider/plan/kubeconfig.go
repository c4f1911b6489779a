package plan

import (
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/gantry-run/gantry/provider/model"
)

// KeepsKubeconfig reports whether a plan leaves a kubeconfig file as it is: nothing of
// what it says changes, and its certificate is not to be renewed yet.
func KeepsKubeconfig(plan, state *model.KubeconfigFile, now time.Time) bool {
	ends, err := time.Parse(time.RFC3339, state.ExpiresAt.ValueString())
	fresh := err == nil && now.Add(model.Duration(plan.RenewBefore)).Before(ends)
	return fresh && plan.Cluster.Equal(state.Cluster) && plan.Path.Equal(state.Path) && plan.Validity.Equal(state.Validity) &&
		plan.User.Equal(state.User) && plan.Groups.Equal(state.Groups)
}

// ValidateLifetime refuses a kubeconfig file whose certificate each apply would renew.
func ValidateLifetime(m *model.KubeconfigFile, diags *diag.Diagnostics) {
	if validity, before, ok := m.Lifetime(); ok && before >= validity {
		diags.AddAttributeError(path.Root("renew_before"), "The certificate would be renewed by every apply",
			fmt.Sprintf("It is good for %s (validity), and renewed %s before its end (renew_before, %s unless said otherwise). Let renew_before be less than validity.", validity, before, model.DefaultRenewBefore))
	}
}
