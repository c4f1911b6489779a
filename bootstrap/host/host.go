package host

import (
	"context"
	"io"
	"io/fs"
	"net"
	"strings"
)

// Host is one server, reached as root (or with sudo).
type Host interface {
	// Name is how messages call the host: its name and address.
	Name() string
	// Run runs a command to its end. A non-zero exit status is a *CommandError.
	Run(ctx context.Context, c Command) (stdout []byte, err error)
	// ReadFiles returns the contents of those of the paths that exist.
	ReadFiles(ctx context.Context, paths ...string) (map[string][]byte, error)
	// Stat describes those of the paths that exist, with the SHA-256 of files.
	Stat(ctx context.Context, paths ...string) (map[string]FileInfo, error)
	// WriteFiles replaces small files, each as a whole: after a cut it is the old or
	// the new one. Their directories must exist.
	WriteFiles(ctx context.Context, files ...File) error
	// Upload does the same with one that is too large for memory. Progress, when
	// not nil, is told the bytes sent so far.
	Upload(ctx context.Context, path string, r io.Reader, mode fs.FileMode, progress func(sent int64)) error
	// Dial opens a connection from the host (network is tcp or unix).
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	Close() error
}

// NewSuffix marks a file that is being written, beside the one that it is to
// replace. A run that was cut leaves one behind; the next overwrites it.
const NewSuffix = ".gantry-new"

// File is one file with its whole content.
type File struct {
	Path string
	Data []byte
	Mode fs.FileMode
}

// FileInfo describes a file or a directory.
type FileInfo struct {
	Mode fs.FileMode
	Size int64
	// SHA256 in hexadecimal; empty for what is not a regular file.
	SHA256 string
}

// Command is one program run on a host.
type Command struct {
	// Argv is the program and its arguments, passed on as they are.
	Argv  []string
	Stdin []byte
	// Secret keeps Stdin and output out of logs and errors.
	Secret bool
	// Lasting is one that is to run until its context or the connection ends: no
	// time-out for commands is meant for it.
	Lasting bool
}

// Shell is a script run by the POSIX shell. The name is its $0, so that the
// shell's own messages say which script they come from; the arguments are $1, $2 …
func Shell(name, script string, args ...string) Command {
	return Command{Argv: append([]string{"sh", "-c", script, name}, args...)}
}

// String is the command as a shell would read it. A script of several lines is
// known by its name: what matters to a reader are its arguments and what it said.
func (c Command) String() string {
	if len(c.Argv) > 3 && c.Argv[0] == "sh" && c.Argv[1] == "-c" && strings.Contains(c.Argv[2], "\n") {
		return "sh <" + c.Argv[3] + "> " + Quote(c.Argv[4:]...)
	}
	return Quote(c.Argv...)
}

// Quote renders arguments for a POSIX shell.
func Quote(args ...string) string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = a
		if a == "" || strings.ContainsFunc(a, needsQuotes) {
			out[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}

func needsQuotes(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("-_./:=,+@%", r)
}
