package plan

import (
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// LimitRemoval refuses to take out more of a pool's hosts than the limit says: state
// has those that it has, stay are those that remain. A limit that is null or not known
// is none.
func LimitRemoval(pool string, state, stay []spec.Host, limit types.Int64, diags *diag.Diagnostics) {
	if limit.IsNull() || limit.IsUnknown() {
		return
	}
	if leaving := Leaving(state, stay); int64(len(leaving)) > limit.ValueInt64() {
		diags.AddAttributeError(path.Root("removal_limit"), "More servers would leave than may",
			fmt.Sprintf("Pool %s: %d of %d servers would leave the cluster (%s), and removal_limit allows %d in one apply. "+
				"If they are to leave, remove them in several applies, or raise the limit: for a destroy, apply the raised limit first.",
				pool, len(leaving), len(state), strings.Join(Names(leaving), ", "), limit.ValueInt64()))
	}
}

// volumesNamed is how many volumes a refusal calls by name.
const volumesNamed = 20

// LoseVolumes refuses to take servers out with which volumes would go, unless that is
// allowed; then it warns. Where it is not known whether there are any, err is why.
func LoseVolumes(title string, lost []string, err error, allowed types.Bool, diags *diag.Diagnostics) {
	if err != nil {
		diags.AddWarning(title+": volumes on leaving servers are not known", fmt.Sprintf("What data goes with them could not be determined: %v", err))
	}
	if len(lost) == 0 {
		return
	}
	named := strings.Join(lost[:min(volumesNamed, len(lost))], "\n")
	if more := len(lost) - volumesNamed; more > 0 {
		named += fmt.Sprintf("\nand %d more", more)
	}
	if allowed.ValueBool() {
		diags.AddWarning(title+": the data of volumes will be lost", named)
		return
	}
	diags.AddAttributeError(path.Root("allow_volume_loss"), "The data of volumes would be lost",
		title+": these volumes lie on servers that would leave, and nowhere else:\n"+named+
			"\nMove or delete their claims first, or set allow_volume_loss = true: for a destroy, apply that first.")
}

// EvenMasters warns of a number of masters that has one machine more than it needs.
func EvenMasters(n int, diags *diag.Diagnostics) {
	if n > 0 && n%2 == 0 {
		diags.AddAttributeWarning(path.Root("masters"), fmt.Sprintf("%d masters bear the loss of no more than %d would", n, n-1),
			"A majority of the masters must live. An even number adds a machine that can fail, and no tolerance.")
	}
}
