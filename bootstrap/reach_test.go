package bootstrap

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// A master that takes longer than the head start to refuse a login is no reason
// to try one that does not exist.
func TestTheLastMasterMayBeSlow(t *testing.T) {
	refused := &host.Error{Kind: host.ErrAuth, Host: "m1", Doing: "log in", Err: errors.New("no")}
	e := New(Config{Connect: func(context.Context, spec.Host) (host.Host, error) {
		time.Sleep(headStart + 100*time.Millisecond)
		return nil, refused
	}})
	_, _, err := e.reach(t.Context(), spec.Connection{ClusterID: "id", Masters: []spec.Host{{Name: "m1", Address: "192.0.2.1"}}})
	if !errors.Is(err, host.ErrAuth) {
		t.Errorf("got %v", err)
	}
}
