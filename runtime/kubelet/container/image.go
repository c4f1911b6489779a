package container

// Image is an image of the store.
type Image struct {
	Name  string // in the store
	ID    string // digest of the config
	Names []string
	Size  int64
	// User is the numeric user of the image's config (nil: it has a name there).
	User       *int64
	StopSignal string
}

// RegistryAuth is a credential for one registry host.
type RegistryAuth struct{ Host, Username, Password, Token string }
