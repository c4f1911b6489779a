package container

import "os"

// Volume is a volume of a pod, opened.
type Volume struct {
	// Root is what containers mount, opened as a place only (O_PATH).
	Root *os.File
	// Path leads to Root and, whatever containers do, to nothing else; "" when others
	// may change what is there.
	Path string
	// ReadOnly: containers must not write it.
	ReadOnly bool
}
