package host

import (
	"errors"
	"fmt"
	"strings"
)

// The kinds of failure that callers tell apart, with errors.Is.
var (
	// ErrUnreachable: no connection, or it was lost. The host may be as it was
	// or gone; nothing may be concluded from it.
	ErrUnreachable = errors.New("host unreachable")
	// ErrAuth: the host answered and refused the login.
	ErrAuth = errors.New("login refused")
	// ErrHostKeyChanged: the host shows another key than the pinned one.
	ErrHostKeyChanged = errors.New("host key changed")
	// ErrHostKeyUnknown: the host's key is in no file that would vouch for it.
	ErrHostKeyUnknown = errors.New("host key unknown")
	// ErrPermission: logged in, but not allowed to act as root.
	ErrPermission = errors.New("permission denied")
)

// Error is a failure of one of the kinds above on one host.
type Error struct {
	Kind error
	Host string
	// Doing says what was tried.
	Doing string
	Err   error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s: %v: %v", e.Host, e.Doing, e.Kind, e.Err)
}

// Unwrap gives both the kind and the cause to errors.Is and errors.As.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// CommandError is a command that ran and failed. It carries all that the command
// said, so that nobody has to log in to learn why.
type CommandError struct {
	Host    string
	Command Command
	// Status is the exit status; -1 when a signal ended the command.
	Status int
	Signal string
	Stdout string
	Stderr string
}

func (e *CommandError) Error() string {
	how := fmt.Sprintf("exit status %d", e.Status)
	if e.Signal != "" {
		how = "ended by signal " + e.Signal
	}
	out := strings.TrimSpace(e.Stderr)
	if out == "" {
		out = strings.TrimSpace(e.Stdout)
	}
	if out == "" {
		out = "no output"
	}
	return fmt.Sprintf("%s: %s: %s: %s", e.Host, e.Command, how, out)
}

// NoSpace reports whether a failure is that of a full disk on the host. Programs say
// it each in their own way, and all with the system's words.
func NoSpace(err error) bool {
	if err == nil {
		return false
	}
	said := err.Error()
	var failed *CommandError
	if errors.As(err, &failed) {
		said = failed.Stdout + failed.Stderr
	}
	return strings.Contains(strings.ToLower(said), "no space left on device")
}
