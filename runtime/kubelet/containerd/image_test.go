package containerd

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"

	"golang.org/x/sys/unix"
)

// TestASilentRegistryIsNoticed: the kernel asks a registry that says nothing whether it
// is there, and by its configuration's own way to dial.
func TestASilentRegistryIsNoticed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	refused := errors.New("the dial timeout")
	dialled := 0
	own := &http.Transport{}
	own.DialContext = (&net.Dialer{}).DialContext
	c := &http.Client{Transport: own}
	if err := noticesSilence(c); err != nil {
		t.Fatal(err)
	}
	conn, err := own.DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	if err := raw.Control(func(fd uintptr) {
		on, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		idle, _ := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
		interval, _ := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL)
		count, _ := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPCNT)
		total = on * (idle + interval*count)
	}); err != nil {
		t.Fatal(err)
	}
	if total != 20 {
		t.Errorf("a registry that is gone is noticed after %d s, want 20", total)
	}

	own.DialContext = func(context.Context, string, string) (net.Conn, error) {
		dialled++
		return nil, refused
	}
	if err := noticesSilence(c); err != nil {
		t.Fatal(err)
	}
	if _, err := own.DialContext(t.Context(), "tcp", ln.Addr().String()); !errors.Is(err, refused) || dialled != 1 {
		t.Errorf("the registry's own way to dial was used %d times: %v", dialled, err)
	}
	if noticesSilence(&http.Client{Transport: &http.Transport{}}) == nil || noticesSilence(&http.Client{}) == nil {
		t.Error("a client whose connections cannot be watched is accepted")
	}
}
