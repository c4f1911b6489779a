package container

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
