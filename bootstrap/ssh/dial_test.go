package ssh

import (
	"errors"
	"net"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/host"
)

func TestALostConnectionIsToldFromAPortThatIsClosed(t *testing.T) {
	h, s := connected(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if _, err := h.Dial(t.Context(), "tcp", closed.Addr().String()); err == nil || errors.Is(err, host.ErrUnreachable) {
		t.Errorf("of a closed port it says %v", err)
	}
	s.Drop()
	if _, err := h.Dial(t.Context(), "tcp", closed.Addr().String()); !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("without a connection it says %v", err)
	}
}
