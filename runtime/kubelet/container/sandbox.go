package container

import (
	"strconv"
	"strings"
)

// Sandbox is what the containers of a pod share. ID is another one whenever it was made
// anew; "" before it is made.
type Sandbox struct {
	ID         string
	Namespaces Namespaces
	// Shm is the directory that containers see as /dev/shm.
	Shm string
	// Users are the pod's own, those of Namespaces.User.
	Users Users
	// Handler is how the runtime runs the containers: that of the pod's RuntimeClass.
	Handler string
	// Round counts how often all containers were restarted together in it.
	Round int
}

// Incarnation is what containers belong to that are started in a sandbox now: they keep
// it, and are history once it is another one.
func (s Sandbox) Incarnation() string {
	if s.Round == 0 {
		return s.ID
	}
	return s.ID + roundMark + strconv.Itoa(s.Round)
}

// roundMark parts the sandbox's ID, which has none in it, from the round.
const roundMark = "."

// RoundOf is the round that a container of that incarnation was started in; false of a
// container of another sandbox.
func (s Sandbox) RoundOf(incarnation string) (round int, ok bool) {
	id, text, later := strings.Cut(incarnation, roundMark)
	if id != s.ID || s.ID == "" {
		return 0, false
	}
	if later {
		round, _ = strconv.Atoi(text) // it was written by Incarnation
	}
	return round, true
}

// SandboxOf is the ID of the sandbox that containers of an incarnation are in.
func SandboxOf(incarnation string) string {
	id, _, _ := strings.Cut(incarnation, roundMark)
	return id
}

// SameSandbox says whether containers of two incarnations share a sandbox.
func SameSandbox(a, b string) bool { return SandboxOf(a) == SandboxOf(b) && SandboxOf(a) != "" }
