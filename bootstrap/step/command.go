package step

import (
	"context"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// Command is a command that makes something so. Without a Check it runs each time.
type Command struct {
	Name    string
	Command host.Command
	Needs   Watch
	// Check reports whether it is so already.
	Check func(Seen) bool
	// Optional lets the command fail: what it does helps where it can be done.
	Optional bool
}

func (c Command) String() string { return c.Name + ": " + c.Command.String() }

// Watch names what Check looks at.
func (c Command) Watch() Watch { return c.Needs }

// Done is Check.
func (c Command) Done(s Seen) bool { return c.Check != nil && c.Check(s) }

// Apply runs it.
func (c Command) Apply(ctx context.Context, h host.Host, _ Seen) error {
	_, err := h.Run(ctx, c.Command)
	if c.Optional && ctx.Err() == nil && isCommandError(err) {
		return nil
	}
	return err
}
