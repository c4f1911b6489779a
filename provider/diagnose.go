package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// diagnose renders a failure on a host for whoever reads the plan's output: where
// it failed, at what, what the command said in full, and what to try.
func diagnose(name string, err error) (summary, detail string) {
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
		cause := err
		if failed != nil {
			cause = failed.Err
		}
		fmt.Fprintf(&b, "%v\n", cause)
	}
	if hint := advice(err); hint != "" {
		fmt.Fprintf(&b, "\n%s", hint)
	}
	return summary, b.String()
}

func advice(err error) string {
	var foreign *install.ForeignError
	switch {
	case errors.Is(err, host.ErrHostKeyChanged):
		return "The server was reinstalled, or another machine answers at its address. If you know why, set the host's host_key to the new key (ssh-keyscan shows it) and apply again."
	case errors.Is(err, host.ErrHostKeyUnknown):
		return "Add the server's key to the known_hosts file, under the address that the configuration has (ssh-keyscan shows it; compare it on the server). Nothing was changed."
	case errors.Is(err, host.ErrAuth):
		return "Check the provider's ssh block (user, key, certificate, password, agent) and the server's authorized_keys. Nothing was changed."
	case errors.Is(err, host.ErrPermission):
		return "Log in as root, or let the user use sudo: without a password, or with the one of ssh.sudo_password."
	case errors.Is(err, host.ErrUnreachable):
		return "Check that the server is up and that sshd answers at its address, then apply again: what was done is kept."
	case host.NoSpace(err):
		return "Make room on the server (df -h /etc /opt /var/lib shows which file system is full), then apply again: what was done is kept, and nothing that was cut short is taken for whole."
	case errors.As(err, &foreign):
		return "A server belongs to one cluster at a time."
	case errors.Is(err, context.Canceled):
		return "Apply again: it goes on where it was stopped."
	}
	return "Apply again once the cause is mended: steps that are done are not done again."
}
