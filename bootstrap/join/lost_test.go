package join

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/pki"
)

// The client tries again and again to connect: it must not, once the host by which
// it goes is lost.
func TestACallEndsWithTheConnectionToItsMaster(t *testing.T) {
	ca, err := pki.NewAuthority("etcd", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	lost := &host.Error{Kind: host.ErrUnreachable, Host: "m1", Doing: "connect", Err: net.ErrClosed}
	s, err := Open("https://192.0.2.1:2379", ca, func(context.Context, string, string) (net.Conn, error) { return nil, lost }, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.MemberList(t.Context()); !errors.Is(err, lost) {
		t.Errorf("it ends with %v", err)
	}
}
