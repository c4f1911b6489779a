package step

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// Event is progress: a step of a host began, ended or failed.
type Event struct {
	Host  string // empty for what is of the whole operation
	Step  string
	State State
	// Took is set at the end; Err when it failed; Message for progress inside.
	Took    time.Duration
	Err     error
	Message string
}

// State of a step.
type State string

// The states, as the journal has them.
const (
	Began  State = "began"
	Done   State = "done"
	Failed State = "failed"
)

// Error is a step that failed on a host. What it wraps has the command, its exit
// status and all that it said.
type Error struct {
	Host   string
	Step   string
	Change string
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("host %s, step %q, %s: %v", e.Host, e.Step, e.Change, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Runner applies steps to a host, or to the cluster on a host's behalf.
type Runner struct {
	Now    func() time.Time
	Events func(Event) // may be nil
	// Title is how events and errors call the host, where it is not reached; empty is
	// the name of the one that is.
	Title string
	// Journal keeps what was begun and how it ended; nil while a host is wiped, whose
	// journal goes too.
	Journal Journal
}

// entry is one line of the journal.
type entry struct {
	Time time.Time `json:"time"`
	// Host is set in a journal that is not the host's own.
	Host  string `json:"host,omitempty"`
	Step  string `json:"step"`
	State State  `json:"state"`
	// Hash is a digest of what the step was to do.
	Hash  string `json:"hash"`
	Error string `json:"error,omitempty"`
}

// Run applies the steps in order and stops at the first that fails. Seen is what
// they were found pending against. The host may be nil where all changes are of the
// cluster.
func (r Runner) Run(ctx context.Context, h host.Host, seen Seen, steps []Step) error {
	var lines []byte // the end of a step is written with the beginning of the next
	for _, s := range steps {
		start := r.Now()
		r.event(Event{Host: r.title(h), Step: s.Name, State: Began})
		if err := r.write(ctx, append(lines, r.line(s, Began, nil)...)); err != nil {
			return r.fail(h, s, "write the journal", start, err)
		}
		for _, c := range s.Changes {
			if err := c.Apply(ctx, h, seen); err != nil {
				r.last(ctx, r.line(s, Failed, err))
				return r.fail(h, s, c.String(), start, err)
			}
		}
		lines = r.line(s, Done, nil)
		r.event(Event{Host: r.title(h), Step: s.Name, State: Done, Took: r.Now().Sub(start)})
	}
	if err := r.write(ctx, lines); err != nil {
		return fmt.Errorf("%s: write the journal: %w", r.title(h), err)
	}
	return nil
}

func (r Runner) title(h host.Host) string {
	if r.Title != "" || h == nil {
		return r.Title
	}
	return h.Name()
}

func (r Runner) fail(h host.Host, s Step, change string, start time.Time, err error) error {
	err = &Error{Host: r.title(h), Step: s.Name, Change: change, Err: err}
	r.event(Event{Host: r.title(h), Step: s.Name, State: Failed, Took: r.Now().Sub(start), Err: err})
	return err
}

// last writes the failure, for who looks at the journal; the failure itself is
// reported anyway, so that this may fail too.
func (r Runner) last(ctx context.Context, line []byte) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	r.write(ctx, line) //nolint:errcheck // see above
}

func (r Runner) event(e Event) {
	if r.Events != nil {
		r.Events(e)
	}
}

func (r Runner) line(s Step, state State, err error) []byte {
	sum := sha256.Sum256([]byte(s.String()))
	e := entry{Time: r.Now().UTC(), Host: r.Title, Step: s.Name, State: state, Hash: hex.EncodeToString(sum[:8])}
	if err != nil {
		e.Error = err.Error()
	}
	data, _ := json.Marshal(e) // strings and a time
	return append(data, '\n')
}

func (r Runner) write(ctx context.Context, lines []byte) error {
	if r.Journal == nil || len(lines) == 0 {
		return nil
	}
	return r.Journal.Append(ctx, lines)
}

func isCommandError(err error) bool {
	var failed *host.CommandError
	return errors.As(err, &failed)
}
