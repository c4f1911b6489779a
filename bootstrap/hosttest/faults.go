package hosttest

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// Fault is what happens to an operation.
type Fault int

// The faults. After the first three the connection is lost.
const (
	// CutBefore: it has no effect.
	CutBefore Fault = iota
	// CutDuring: of several files or units, the first half is done.
	CutDuring
	// CutAfter: it is done, and nobody is told.
	CutAfter
	// DiskFull: of what is written the first half is, and then there is no space. The
	// connection stays.
	DiskFull
)

func (f Fault) String() string {
	return [...]string{"cut before", "cut during", "cut after", "disk full at"}[f]
}

// Faults are all of them.
func Faults() []Fault { return []Fault{CutBefore, CutDuring, CutAfter, DiskFull} }

// traced is an operation that there was.
type traced struct {
	change string // empty of one that only reads
	parts  int
}

// op runs one operation under the lock, with the planned fault. Of the parts that
// it has, do does the first n.
func (m *Model) op(ctx context.Context, change string, parts int, do func(n int) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cut {
		return m.unreachable()
	}
	m.ops++
	m.trace = append(m.trace, traced{change, parts})
	fault := m.Fault
	if m.ops != m.FailAt {
		fault = -1
	}
	if fault == CutBefore {
		m.lose()
		return m.unreachable()
	}
	if change != "" && change != through && !strings.HasPrefix(change, "append-journal") && !strings.HasPrefix(change, "append-cluster-journal") {
		m.changes = append(m.changes, change)
	}
	switch {
	case fault == CutDuring || fault == DiskFull && writes(change):
		err := do(parts / 2)
		if fault == DiskFull {
			return &host.CommandError{Host: m.Title, Command: host.Command{Argv: []string{change}}, Status: 1, Stderr: "No space left on device"}
		}
		m.lose()
		return errors.Join(m.unreachable(), err)
	case fault == CutAfter:
		do(parts) //nolint:errcheck // nobody is told
		m.lose()
		return m.unreachable()
	}
	return do(parts)
}

// through is what operations are called that change something beyond the server.
const through = "through"

// Through does what is reached through the server's connection, such as a call of the
// API beside it: one more operation, which fails as they do.
func (m *Model) Through(ctx context.Context, changes bool, do func() error) error {
	change := ""
	if changes {
		change = through
	}
	return m.op(ctx, change, 1, func(n int) error {
		if n == 0 {
			return nil
		}
		return do()
	})
}

// Matters reports, for each operation since the last Reconnect, whether the fault
// there is another one than CutBefore: what only reads is not half done, and nobody
// misses that it was.
func (m *Model) Matters(f Fault) []bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]bool, len(m.trace))
	for i, op := range m.trace {
		switch f {
		case CutBefore:
			out[i] = true
		case CutDuring:
			out[i] = op.change != "" && op.parts > 1
		case CutAfter:
			out[i] = op.change != ""
		case DiskFull:
			out[i] = writes(op.change)
		}
	}
	return out
}

// writes reports whether an operation needs space.
func writes(change string) bool {
	verb, _, _ := strings.Cut(change, " ")
	return slices.Contains([]string{"write", "upload", "make-dirs", "mkdir", "mark-units", "append-journal", unpacker}, verb)
}
