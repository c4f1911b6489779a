package diagnose

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// Failures adds an error for each host of an operation that is not as it should be.
// Terraform keeps the resource as state has it, and plans it again.
func Failures(report bootstrap.Report, diags *diag.Diagnostics) {
	each(report, func(summary, detail string) { diags.AddError(summary, detail) }, diags)
}

// Pending adds a warning instead, where the operation as a whole succeeded.
func Pending(report bootstrap.Report, diags *diag.Diagnostics) {
	each(report, func(summary, detail string) {
		diags.AddWarning(summary, detail+"\nThe host is marked pending; the next apply takes it up.")
	}, diags)
}

// Destroy adds the diagnostics of a destroy; err is that of the whole operation. What
// lets a server go after all is named: one that does not answer is never taken for
// gone, and one whose pods may not be evicted works on.
func Destroy(report bootstrap.Report, err error, diags *diag.Diagnostics) {
	Failures(report, diags)
	unreachable, notDrained := errors.Is(err, host.ErrUnreachable), false
	for _, err := range report.Failed() {
		var failed *step.Error
		switch {
		case errors.As(err, &failed) && failed.Step == bootstrap.DrainStep:
			notDrained = true
		case errors.Is(err, host.ErrUnreachable):
			unreachable = true
		}
	}
	if notDrained {
		diags.AddWarning("Servers whose pods could not be moved stay",
			"They stay in state and take pods again. Delete the disruption budget or the pods that hold them up and destroy again; or set on_drain_timeout = \"force\", apply, and then destroy.")
	}
	if unreachable {
		diags.AddWarning("Servers that cannot be reached stay in state",
			"What was destroyed is passed over the next time. Bring the servers back and destroy again; or, if they are gone for good, "+
				"set abandon_unreachable = true in the provider block (or take the resource out of state with terraform state rm).")
	}
}

// Refresh warns of what could not be observed. State keeps what it has of that.
func Refresh(report bootstrap.Report, diags *diag.Diagnostics) {
	for _, name := range slices.Sorted(maps.Keys(report.Hosts)) {
		if s := report.Hosts[name]; s.State == bootstrap.Unknown {
			_, detail := Host(name, s.Err)
			diags.AddWarning(fmt.Sprintf("Host %s could not be observed", name), detail+"\nIts state is kept as it was.")
		}
	}
	for _, w := range report.Ending {
		diags.AddWarning("A certificate ends soon", w)
	}
	for _, w := range report.Warnings {
		diags.AddWarning("Not everything could be checked", w+"\nA plan may show no difference where there is one.")
	}
}

// Import warns of hosts of an imported resource that could not be logged in to.
func Import(unreached map[string]error, diags *diag.Diagnostics) {
	for _, name := range slices.Sorted(maps.Keys(unreached)) {
		diags.AddWarning(fmt.Sprintf("Host %s could not be reached", name),
			fmt.Sprintf("Its host key is not known, and the next plan goes to the host once more. It said: %v", unreached[name]))
	}
}

func each(report bootstrap.Report, add func(summary, detail string), diags *diag.Diagnostics) {
	failed := report.Failed()
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		add(Host(name, failed[name]))
	}
	for _, w := range report.Warnings {
		diags.AddWarning("Not everything could be completed", w)
	}
}
