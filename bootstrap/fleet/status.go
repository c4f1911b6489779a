package fleet

import "fmt"

// State is how a host stands.
type State string

// The states of a host.
const (
	// Ready: it is what it should be and its Node is Ready.
	Ready State = "ready"
	// Pending: work on it was begun or is still to be done.
	Pending State = "pending"
	// Drifted: it was ready, and something on it was changed, stopped or lost.
	Drifted State = "drifted"
	// Absent: the host answers and nothing of the cluster is on it.
	Absent State = "absent"
	// Unknown: the host could not be asked. Nothing follows from that.
	Unknown State = "unknown"
	// Gone: it was removed from the cluster and wiped.
	Gone State = "gone"
)

// Status is what was reached or seen on one host.
type Status struct {
	State State
	// HostKey is the key the host showed; empty when it could not be reached.
	HostKey string
	// Version is that of Gantry on the host, as far as the host or its Node said; empty
	// where it is not known or nothing is there.
	Version string
	// Message says why it is not ready, or what differs.
	Message string
	// Err is the failure behind it, if there was one.
	Err error
}

// Report is the outcome of an operation, by host name.
type Report struct {
	ClusterID string
	// CAFingerprint is the SHA-256 of the cluster's CA certificate.
	CAFingerprint string
	Hosts         map[string]Status
	// Warnings are about no host in particular.
	Warnings []string
	// Ending are certificates that end soon, and what is to be done about each.
	Ending []string
}

// Failed returns the hosts that are neither Ready nor Gone, as an error each.
func (r Report) Failed() map[string]error {
	out := map[string]error{}
	for name, s := range r.Hosts {
		if s.State == Ready || s.State == Gone {
			continue
		}
		err := s.Err
		if err == nil {
			err = fmt.Errorf("host %s is %s: %s", name, s.State, s.Message)
		}
		out[name] = err
	}
	return out
}
