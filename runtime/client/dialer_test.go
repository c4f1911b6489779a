package client

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
)

// network models which masters accept a connection, and records who was tried.
type network struct {
	up    map[string]bool
	tried []string
}

func (n *network) dial(_ context.Context, _, address string) (net.Conn, error) {
	n.tried = append(n.tried, address)
	if !n.up[address] {
		return nil, errors.New("connection refused")
	}
	a, b := net.Pipe()
	b.Close()
	return a, nil
}

func TestDialerMovesOnAndStays(t *testing.T) {
	n := &network{up: map[string]bool{"b:1": true, "c:1": true}}
	d := NewDialer([]string{"a:1", "b:1", "c:1"}, n.dial)
	for range 2 {
		if _, err := d.DialContext(t.Context(), "tcp", "ignored:443"); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"a:1", "b:1", "b:1"}; !slices.Equal(n.tried, want) {
		t.Errorf("tried %v, want %v", n.tried, want)
	}
	n.up["b:1"] = false
	if _, err := d.DialContext(t.Context(), "tcp", ""); err != nil {
		t.Fatal(err)
	}
	if got := d.Servers()[0]; got != "c:1" {
		t.Errorf("prefers %s, want c:1", got)
	}
}

func TestDialerNamesEveryMasterThatFailed(t *testing.T) {
	n := &network{}
	_, err := NewDialer([]string{"a:1", "b:1"}, n.dial).DialContext(t.Context(), "tcp", "")
	if err == nil || !strings.Contains(err.Error(), "a:1: connection refused") || !strings.Contains(err.Error(), "b:1:") {
		t.Errorf("got %v", err)
	}
}

func TestSetServersKeepsThePreferredMaster(t *testing.T) {
	d := NewDialer([]string{"a:1", "b:1"}, (&network{up: map[string]bool{"b:1": true}}).dial)
	if _, err := d.DialContext(t.Context(), "tcp", ""); err != nil {
		t.Fatal(err)
	}
	d.SetServers([]string{"c:1", "a:1", "b:1"})
	if want := []string{"b:1", "a:1", "c:1"}; !slices.Equal(d.Servers(), want) {
		t.Errorf("got %v, want %v", d.Servers(), want)
	}
	d.SetServers([]string{"c:1"})
	if want := []string{"c:1"}; !slices.Equal(d.Servers(), want) {
		t.Errorf("got %v, want %v", d.Servers(), want)
	}
}

func TestAMasterThatFailsIsLeft(t *testing.T) {
	n := &network{up: map[string]bool{"a:1": true, "b:1": true}}
	d := NewDialer([]string{"a:1", "b:1"}, n.dial)
	c, err := d.DialContext(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, ok := range []bool{false, true, false} { // not in a row
		d.heard(ok)
	}
	if got := d.Servers()[0]; got != "a:1" {
		t.Fatalf("prefers %s after failures that were none in a row", got)
	}
	d.heard(false)
	if got := d.Servers()[0]; got != "b:1" {
		t.Errorf("prefers %s", got)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the connection to it is still open: %v", err)
	}
	alone := NewDialer([]string{"a:1"}, n.dial)
	c, err = alone.DialContext(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		alone.heard(false)
	}
	if len(alone.conns) != 1 {
		t.Error("the only master was left")
	}
	c.Close()
	if len(alone.conns) != 0 {
		t.Error("a closed connection is still known")
	}
}
