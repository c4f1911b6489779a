package container

import "io"

// TerminalSize is in characters.
type TerminalSize struct{ Width, Height uint16 }

// Streams are the ends of an interactive session. Nil streams are not wanted.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	TTY      bool
	Resize   <-chan TerminalSize
}

// HostPort is a port of the node that leads to a pod.
type HostPort struct {
	Protocol                string // TCP, UDP or SCTP
	HostIP                  string // empty: every address of the node
	HostPort, ContainerPort uint16
}
