package container

import "errors"

var errOtherRuntime = errors.New("the runtime of this handler is not known to have them")

// Features are what a runtime, with the kernel below it, can do.
type Features struct {
	// AppArmor profiles are loaded and applied.
	AppArmor bool
	// UserNamespaces is why pods cannot have users of their own; nil: they can.
	UserNamespaces error
	// RecursiveReadOnly mounts are read-only with all that is mounted below them.
	RecursiveReadOnly bool
	// Handlers are the names that a RuntimeClass may give, "" for the default among them.
	Handlers []string
}

// DefaultHandler is the RuntimeClass handler of the runtime that pods without a class
// have too.
const DefaultHandler = "runc"

// Of returns what containers can have that are run by a handler. Of others than the
// default nothing is known.
func (f Features) Of(handler string) Features {
	if handler == "" || handler == DefaultHandler {
		return f
	}
	return Features{AppArmor: f.AppArmor, UserNamespaces: errOtherRuntime, Handlers: f.Handlers}
}
