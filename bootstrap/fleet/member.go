package fleet

import (
	"fmt"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Member is one host of an operation.
type Member struct {
	Spec   spec.Host
	Host   host.Host // nil when it could not be reached
	Status Status
	// Files are those that preflight read of it; Refused is why it cannot be a node,
	// and Doubt what may go wrong with one that can.
	Files   map[string][]byte
	Refused error
	Doubt   error
}

// Title is how messages call it.
func (m *Member) Title() string { return fmt.Sprintf("%s (%s)", m.Spec.Name, m.Spec.Address) }

// Settle keeps what came of the work on it. One that is Gone stays so.
func (m *Member) Settle(err error) {
	if err == nil {
		if m.Status.State != Gone {
			m.Status.State, m.Status.Message, m.Status.Err = Ready, "", nil
		}
		return
	}
	m.Status.State, m.Status.Message, m.Status.Err = Pending, err.Error(), err
}
