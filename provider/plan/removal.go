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

// EvenMasters warns of a number of masters that has one machine more than it needs.
func EvenMasters(n int, diags *diag.Diagnostics) {
	if n > 0 && n%2 == 0 {
		diags.AddAttributeWarning(path.Root("masters"), fmt.Sprintf("%d masters bear the loss of no more than %d would", n, n-1),
			"A majority of the masters must live. An even number adds a machine that can fail, and no tolerance.")
	}
}
