package diagnose

import (
	"context"
	"errors"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
)

// Remedy is what to try after a failure. It is never empty: a failure of no known
// kind is mended by the user and then applied again.
func Remedy(err error) string {
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
