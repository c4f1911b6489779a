package step

import (
	"context"
	"path"
	"sync"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// JournalFile is where a host keeps its journal: one JSON object a line.
const JournalFile = "/var/lib/gantry/bootstrap/journal.jsonl"

// Journal keeps lines of what was begun and of how it ended.
type Journal interface {
	Append(ctx context.Context, lines []byte) error
}

// HostJournal is the host's own. Nothing is done on a host that cannot keep it.
type HostJournal struct{ Host host.Host }

// Several runs may write to one file, the host's own and those that change the
// cluster, so each has it to itself, once it has all that it writes. A disk may be full
// in the middle of a line, or the power be cut, and the line would swallow the next one.
const appendScript = `whole() { [ ! -s "$1" ] || [ "$(tail -c 1 "$1" | wc -l)" -eq 1 ] || truncate -s "$(head -n "$(wc -l <"$1")" "$1" | wc -c)" "$1"; }
mkdir -p -m 0700 "$1" && lines=$(cat && echo .) && exec 9>>"$2" && flock -w 10 9 && whole "$2" || exit 1
printf %s "${lines%.}" >&9 && exit 0
whole "$2"; exit 1`

// Append writes the lines, all or none.
func (j HostJournal) Append(ctx context.Context, lines []byte) error {
	return j.run(ctx, "append-journal", lines)
}

func (j HostJournal) run(ctx context.Context, name string, lines []byte) error {
	c := host.Shell(name, appendScript, path.Dir(JournalFile), JournalFile)
	c.Stdin = lines
	_, err := j.Host.Run(ctx, c)
	return err
}

// ClusterJournal keeps on a master what is changed of the cluster. Many hosts may
// leave at a time, and each change is made through the API anyway: lines are written
// in the background, those that wait together, and a master that cannot keep them
// stops nobody. It is closed before its host is.
type ClusterJournal struct {
	Host   host.Host
	Failed func(error) // told once; may be nil

	mu      sync.Mutex
	waiting []byte
	writing chan struct{} // closed when the writer has nothing left; nil without one
	err     error
}

// Append never fails and does not wait.
func (j *ClusterJournal) Append(ctx context.Context, lines []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return nil
	}
	j.waiting = append(j.waiting, lines...)
	if j.writing == nil {
		j.writing = make(chan struct{})
		go j.write(context.WithoutCancel(ctx), j.writing)
	}
	return nil
}

// journalTimeout bounds one write of lines that nobody waits for.
const journalTimeout = 5 * time.Second

func (j *ClusterJournal) write(ctx context.Context, written chan struct{}) {
	defer close(written)
	for {
		j.mu.Lock()
		lines := j.waiting
		j.waiting = nil
		if len(lines) == 0 || j.err != nil {
			j.writing = nil
			j.mu.Unlock()
			return
		}
		j.mu.Unlock()
		bounded, cancel := context.WithTimeout(ctx, journalTimeout)
		err := HostJournal{j.Host}.run(bounded, "append-cluster-journal", lines)
		cancel()
		if err != nil {
			j.mu.Lock()
			j.err = err
			j.mu.Unlock()
			if j.Failed != nil {
				j.Failed(err)
			}
		}
	}
}

// Close waits for what is being written.
func (j *ClusterJournal) Close() {
	j.mu.Lock()
	writing := j.writing
	j.mu.Unlock()
	if writing != nil {
		<-writing
	}
}
