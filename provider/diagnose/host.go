package diagnose

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// Host is the diagnostic of a failure on a host, for whoever reads Terraform's
// output: where it failed, at what, what the command said in full, and what to try.
func Host(name string, err error) (summary, detail string) {
	var b strings.Builder
	var failed *step.Error
	var unfit *preflight.Error
	summary = fmt.Sprintf("Host %s", name)
	if errors.As(err, &unfit) {
		summary += " cannot become a node"
		fmt.Fprintf(&b, "Host: %s\n", unfit.Host)
		for _, f := range unfit.Findings {
			fmt.Fprintf(&b, "- %s:\n  %s\n", f.Problem, f.Remedy)
		}
		b.WriteString("\nNothing was changed on the host.")
		return summary, b.String()
	}
	if errors.As(err, &failed) {
		summary += fmt.Sprintf(": step %q failed", failed.Step)
		fmt.Fprintf(&b, "Host:    %s\nStep:    %s\nChange:  %s\n", failed.Host, failed.Step, failed.Change)
	} else {
		summary += " is not ready"
	}
	var command *host.CommandError
	if errors.As(err, &command) {
		fmt.Fprintf(&b, "Command: %s\nExit status: %d\n", command.Command, command.Status)
		if out := strings.TrimSpace(command.Stdout); out != "" {
			fmt.Fprintf(&b, "Output:\n%s\n", out)
		}
		fmt.Fprintf(&b, "Stderr:\n%s\n", strings.TrimSpace(command.Stderr))
	} else {
		fmt.Fprintf(&b, "%v\n", Cause(err))
	}
	fmt.Fprintf(&b, "\n%s", Remedy(err))
	return summary, b.String()
}

// Text is a failure of an operation as a whole. The remedy is added where the
// failure is one of a connection or of a command: others say themselves what to do.
func Text(err error) string {
	var connection *host.Error
	var command *host.CommandError
	if errors.As(err, &connection) || errors.As(err, &command) {
		return err.Error() + "\n\n" + Remedy(err)
	}
	return err.Error()
}

// Cause is a failure without its host and step, for where those are said already.
func Cause(err error) error {
	if failed := (*step.Error)(nil); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// maxLine is about the length of a line, in bytes, that a table still shows.
const maxLine = 300

// FirstLine is the first line of a message, cut where it is very long.
func FirstLine(s string) string {
	for i, r := range s {
		if r == '\n' || i > maxLine {
			return s[:i]
		}
	}
	return s
}
