// Package ports gives tests loopback ports for servers that open their own, such as etcd:
// it takes no listener, and comes back on the port it had. A port that was free a moment
// ago may be anybody's by the time it is opened, and a test binary beside looks for one
// the same way. So these are out of the range from which the kernel gives ports to those
// who name none, and kept from other tests for as long as the test lasts.
package ports

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Linux gives ports from 32768 on, and those of Services begin at 30000.
const first, last = 20000, 29999

// Reserve returns a loopback TCP port that is the test's until its end. The UDP port of
// the same number is the token: the kernel gives it to one process, and takes it back
// however that ends.
func Reserve(t testing.TB) int {
	t.Helper()
	const all = last - first + 1
	begin := rand.N(all)
	for i := range all {
		port := first + (begin+i)%all
		address := fmt.Sprintf("127.0.0.1:%d", port)
		token, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		if ln, err := net.Listen("tcp", address); err != nil { // of a program that is no test
			token.Close()
			continue
		} else if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { token.Close() })
		return port
	}
	t.Fatalf("no loopback port from %d to %d is free", first, last)
	return 0
}
