package step

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
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

// Runner applies steps to a host.
type Runner struct {
	Now    func() time.Time
	Events func(Event) // may be nil
	// Journal is off while a host is wiped: the journal goes too.
	Journal bool
}

// entry is one line of the journal.
type entry struct {
	Time  time.Time `json:"time"`
	Step  string    `json:"step"`
	State State     `json:"state"`
	// Hash is a digest of what the step was to do.
	Hash  string `json:"hash"`
	Error string `json:"error,omitempty"`
}

// Run applies the steps in order and stops at the first that fails. Seen is what
// they were found pending against.
func (r Runner) Run(ctx context.Context, h host.Host, seen Seen, steps []Step) error {
	var lines []byte // the end of a step is written with the beginning of the next
	for _, s := range steps {
		start := r.Now()
		r.event(Event{Host: h.Name(), Step: s.Name, State: Began})
		if err := r.write(ctx, h, append(lines, r.line(s, Began, nil)...)); err != nil {
			return r.fail(h, s, "write the journal", start, err)
		}
		for _, c := range s.Changes {
			if err := c.Apply(ctx, h, seen); err != nil {
				r.last(ctx, h, r.line(s, Failed, err))
				return r.fail(h, s, c.String(), start, err)
			}
		}
		lines = r.line(s, Done, nil)
		r.event(Event{Host: h.Name(), Step: s.Name, State: Done, Took: r.Now().Sub(start)})
	}
	if err := r.write(ctx, h, lines); err != nil {
		return fmt.Errorf("%s: write the journal: %w", h.Name(), err)
	}
	return nil
}

func (r Runner) fail(h host.Host, s Step, change string, start time.Time, err error) error {
	err = &Error{Host: h.Name(), Step: s.Name, Change: change, Err: err}
	r.event(Event{Host: h.Name(), Step: s.Name, State: Failed, Took: r.Now().Sub(start), Err: err})
	return err
}

// last writes the failure, for who looks on the host; the failure itself is
// reported anyway, so that this may fail too.
func (r Runner) last(ctx context.Context, h host.Host, line []byte) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	r.write(ctx, h, line) //nolint:errcheck // see above
}

func (r Runner) event(e Event) {
	if r.Events != nil {
		r.Events(e)
	}
}

func (r Runner) line(s Step, state State, err error) []byte {
	sum := sha256.Sum256([]byte(s.String()))
	e := entry{Time: r.Now().UTC(), Step: s.Name, State: state, Hash: hex.EncodeToString(sum[:8])}
	if err != nil {
		e.Error = err.Error()
	}
	data, _ := json.Marshal(e) // strings and a time
	return append(data, '\n')
}

// A disk may be full in the middle of a line, which would swallow the next one.
const appendScript = `mkdir -p -m 0700 "$1" && cat >>"$2" && exit 0
[ ! -s "$2" ] || truncate -s "$(head -n "$(wc -l <"$2")" "$2" | wc -c)" "$2"; exit 1`

func (r Runner) write(ctx context.Context, h host.Host, lines []byte) error {
	if !r.Journal || len(lines) == 0 {
		return nil
	}
	c := host.Shell("append-journal", appendScript, path.Dir(JournalFile), JournalFile)
	c.Stdin = lines
	_, err := h.Run(ctx, c)
	return err
}

func isCommandError(err error) bool {
	var failed *host.CommandError
	return errors.As(err, &failed)
}
